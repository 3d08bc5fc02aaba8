//! A timer for arrivals microseconds apart. The runtime's own timers count whole milliseconds, which would add up to a
//! millisecond to every latency, so the load generator waits for a timer file descriptor, as it waits
//! for its sockets.

use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    pub(super) fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags).context("creating a timer")?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for descriptors that may be closed behind it; an OwnedFd may not"
        )]
        let registered = AsyncFd::new(descriptor);
        Ok(Self(registered.context("registering a timer")?))
    }

    /// Returns at `deadline`, at once if it has passed.
    pub(super) async fn until(&self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
        let once = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once).context("arming a timer")?;
        // The event alone is the answer: arming the timer again forgets the expiry, which need not be read.
        // An event left over from an earlier expiry would be too early, hence the loop.
        while Instant::now() < deadline {
            self.0.readable().await.context("waiting for a timer")?.clear_ready();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_waits_as_long_as_asked_and_again() {
        let timer = Timer::new().unwrap();
        for _ in 0..3 {
            let deadline = Instant::now() + Duration::from_micros(300);
            timer.until(deadline).await.unwrap();
            assert!(Instant::now() >= deadline);
            timer.until(deadline).await.unwrap();
        }
    }
}
