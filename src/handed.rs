//! A listening socket that outlives the process that listens: what comes while nobody accepts waits in the kernel's queue.
//!
//! Standard input is how such a socket is handed on. So it needs no unsafe code, no other process and no agreement about
//! numbers: systemd does it (`StandardInput=socket`), and a node that is told to give way to a new program does it for itself.
//! Sockets of their own for the old and the new process, by SO_REUSEPORT, would be two queues, and what waits in the old one's
//! is reset when it is closed.

use std::{
    ffi::OsString,
    io::{self, stdin},
    net::{Shutdown, TcpListener},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

/// Says to a successor that the socket is nobody's but its own.
const OURS: &str = "NEARSIDE_SOCKET_IS_OURS";

/// A socket that listens.
pub struct Listener {
    pub socket: TcpListener,
    /// Nobody else has it: when this node ends, there is to be nobody who seems to listen.
    is_ours: bool,
}

impl Listener {
    pub fn ours(socket: TcpListener) -> Listener {
        Listener { socket, is_ours: true }
    }

    pub fn try_clone(&self) -> io::Result<Listener> {
        Ok(Listener { socket: self.socket.try_clone()?, is_ours: self.is_ours })
    }

    /// Nothing more comes, however many hold the socket; unless whoever started this process goes on listening.
    pub fn close(&self) {
        if self.is_ours
            && let Err(error) = socket2::SockRef::from(&self.socket).shutdown(Shutdown::Both)
        {
            tracing::warn!(cause = %error, "the socket still listens");
        }
    }
}

/// The socket on standard input, if that is one that listens.
pub fn listener() -> io::Result<Option<Listener>> {
    let input = stdin();
    let is_listener = socket2::SockRef::from(&input).is_listener().unwrap_or(false);
    if !is_listener {
        return Ok(None);
    }
    let socket = TcpListener::from(input.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    Ok(Some(Listener { socket, is_ours: std::env::var_os(OURS).is_some() }))
}

/// How this process was started, so that another can be started in its place.
pub struct Successor {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Successor {
    /// To be asked at the start: later the file may be another one, and that is the point of it.
    pub fn of_this() -> io::Result<Successor> {
        Ok(Successor { program: std::env::current_exe()?, arguments: std::env::args_os().skip(1).collect() })
    }

    /// Whether there is a program that starts. Blocks for a moment.
    pub fn check(&self) -> anyhow::Result<()> {
        let asked = Command::new(&self.program).arg("--version").stdin(Stdio::null()).output();
        let asked = asked.with_context(|| format!("{} does not start", self.program.display()))?;
        ensure!(asked.status.success(), "{} --version fails: {}", self.program.display(), asked.status);
        Ok(())
    }

    /// Becomes it, under the same process id. All files of this process are closed; the socket is its standard input. Returns
    /// only if that fails.
    pub fn start(&self, listener: Listener) -> anyhow::Error {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(OwnedFd::from(listener.socket));
        if listener.is_ours {
            command.env(OURS, "1");
        }
        let error = command.exec();
        anyhow::Error::new(error).context(format!("{} does not start", self.program.display()))
    }
}
