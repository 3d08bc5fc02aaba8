//! How the machine's scheduler is to see our threads: those that answer sockets first, renders after them, then what no
//! visitor waits for, and tasks last. All of it is of one thread alone, as Linux understands it. Where it may not be, or the kernel is too old
//! to know of it, nothing else is wrong.

use std::time::Duration;

use nearside_protocol::limits;

/// The thread that calls it answers sockets. That takes microseconds, and a stored page is to be sent though a render has the
/// core: a thread with shorter slices than the one that runs takes its place when it wakes up, and does not wait for the end of
/// that one's slice.
pub fn answers_sockets() {
    Scheduling::of(AS_IT_IS, limits::SOCKETS_SLICE).set();
}

/// The thread that calls it renders.
pub fn renders() {
    Scheduling::of(limits::RENDERS_NICE, USUAL).set();
}

/// No visitor waits for the thread that calls it, nor for those that it will start.
pub fn is_patient() {
    Scheduling::of(limits::BESIDE_NICE, USUAL).set();
}

/// The thread that calls it runs tasks: there is a later for them.
pub fn runs_tasks() {
    Scheduling::of(limits::TASKS_NICE, USUAL).set();
}

/// The least nice of all: whatever the process was started as is nicer.
const AS_IT_IS: i32 = -20;
/// A slice as the kernel gives it to everybody.
const USUAL: Duration = Duration::ZERO;

/// Of an ordinary thread: `struct sched_attr` in its first version, sched_setattr(2).
#[repr(C)]
#[derive(Default)]
struct Scheduling {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// How long it runs before others get their turn. Linux 6.12 and later look at it.
    slice_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

impl Scheduling {
    /// At least so nice; the thread may be nicer already, as its process was started.
    fn of(nice: i32, slice: Duration) -> Scheduling {
        const SIZE: u32 = size_of::<Scheduling>() as u32;
        let nice = rustix::process::getpriority_process(None).map_or(nice, |now| now.max(nice));
        Scheduling { size: SIZE, nice, slice_ns: slice.as_nanos() as u64, ..Scheduling::default() }
    }

    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    fn set(&self) {
        const THIS_THREAD: libc::pid_t = 0;
        const NO_FLAGS: libc::c_uint = 0;
        // SAFETY: the kernel reads `size` bytes from the pointer, all of them ours, and keeps nothing of it.
        unsafe { libc::syscall(libc::SYS_sched_setattr, THIS_THREAD, &raw const *self, NO_FLAGS) };
    }

    #[cfg(not(target_os = "linux"))]
    fn set(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of the thread that calls it.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    fn told() -> Scheduling {
        let mut told = Scheduling::default();
        let size = size_of::<Scheduling>();
        // SAFETY: the kernel writes at most `size` bytes, and so many there are.
        let done = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut told, size, 0) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        told
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_is_seen_as_it_asks_and_no_other() {
        let before = told();
        let there = std::thread::spawn(|| {
            [answers_sockets, renders, is_patient, runs_tasks].map(|asks| {
                asks();
                let now = told();
                (now.policy, now.nice, now.slice_ns)
            })
        });
        let [sockets, renders, patient, tasks] = there.join().unwrap();
        assert_eq!((sockets.0, sockets.1), (before.policy, before.nice));
        assert_eq!((renders.0, renders.1), (before.policy, limits::RENDERS_NICE));
        assert_eq!((patient.0, patient.1), (before.policy, limits::BESIDE_NICE));
        assert_eq!((tasks.0, tasks.1), (before.policy, limits::TASKS_NICE));
        // Kernels before 6.12 have no slices of a thread's own, and say 0.
        if before.slice_ns > 0 {
            let others = [renders.2, patient.2, tasks.2];
            assert_eq!((sockets.2, others), (limits::SOCKETS_SLICE.as_nanos() as u64, [before.slice_ns; 3]));
        }
        let after = told();
        assert_eq!((after.nice, after.slice_ns), (before.nice, before.slice_ns));
    }
}
