//! Somebody between a node and its origin: passes everything on, until it is told to lie.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::http::{self, Answer};

/// What becomes of an answer to a request for this path; none leaves it as it is.
pub type Lie = Box<dyn FnMut(&str, &Answer) -> Option<Vec<u8>> + Send>;

/// What becomes of a request.
pub enum Fate {
    Passes,
    /// Passed on so much later.
    After(Duration),
    /// It never arrives; whoever sent it waits in vain.
    IsLost,
    /// It is done, and whoever sent it waits in vain.
    AnswerIsLost,
    /// It arrives when this is set, and whoever sent it has long ceased to wait; when it is done, this is unset.
    IsLate(Arc<AtomicBool>),
}

/// What becomes of a request for this path.
pub type Choice = Box<dyn FnMut(&str) -> Fate + Send>;

pub struct Mirror {
    pub address: SocketAddr,
    lie: Arc<Mutex<Option<Lie>>>,
    choice: Arc<Mutex<Option<Choice>>>,
}

impl Mirror {
    /// Listens until the process ends.
    pub fn of(origin: SocketAddr) -> Mirror {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let lie: Arc<Mutex<Option<Lie>>> = Arc::default();
        let choice: Arc<Mutex<Option<Choice>>> = Arc::default();
        let (told, chosen) = (lie.clone(), choice.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (told, chosen) = (told.clone(), chosen.clone());
                thread::spawn(move || pass(stream, origin, &told, &chosen));
            }
        });
        Mirror { address, lie, choice }
    }

    pub fn lies(&self, lie: impl FnMut(&str, &Answer) -> Option<Vec<u8>> + Send + 'static) {
        *self.lie.lock().unwrap() = Some(Box::new(lie));
    }

    pub fn chooses(&self, choice: impl FnMut(&str) -> Fate + Send + 'static) {
        *self.choice.lock().unwrap() = Some(Box::new(choice));
    }

    pub fn passes_everything(&self) {
        *self.choice.lock().unwrap() = None;
    }

    pub fn tells_the_truth(&self) {
        *self.lie.lock().unwrap() = None;
    }
}

/// One request: its body must have a length, as a node's do.
fn pass(stream: TcpStream, origin: SocketAddr, lie: &Mutex<Option<Lie>>, choice: &Mutex<Option<Choice>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if !lower.starts_with("connection:") {
            head += &line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let request = [format!("{head}Connection: close\r\n\r\n").as_bytes(), &body].concat();
    let fate = choice.lock().unwrap().as_mut().map_or(Fate::Passes, |choice| choice(&path));
    match &fate {
        Fate::After(delay) => thread::sleep(*delay),
        Fate::IsLate(now) => {
            while !now.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        Fate::IsLost => return in_vain(reader),
        Fate::Passes | Fate::AnswerIsLost => {}
    }
    let answer = http::raw(origin, &request).ok()?;
    if let Fate::IsLate(now) = &fate {
        now.store(false, Ordering::Release);
    }
    if matches!(fate, Fate::AnswerIsLost | Fate::IsLate(_)) {
        return in_vain(reader);
    }
    let told = lie.lock().unwrap().as_mut().and_then(|lie| lie(&path, &answer));
    let body = told.as_deref().unwrap_or(&answer.body);
    let mut said = format!("HTTP/1.1 {} It\r\nConnection: close\r\nContent-Length: {}\r\n", answer.status, body.len());
    let of_the_connection = ["connection", "content-length", "transfer-encoding", "keep-alive"];
    for (name, value) in answer.headers().iter().filter(|(name, _)| !of_the_connection.contains(&name.as_str())) {
        said += &format!("{name}: {value}\r\n");
    }
    let mut stream = reader.into_inner();
    stream.write_all(format!("{said}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// Says nothing until the other side has gone.
fn in_vain(mut reader: BufReader<TcpStream>) -> Option<()> {
    let _ = reader.read(&mut [0]);
    None
}
