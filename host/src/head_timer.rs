//! The clock by which hyper bounds the time a connection may take over a request's head.
//!
//! hyper begins a new sleep for each head it waits for and drops it when the head is there. A sleep of the runtime is put
//! among its timers and taken out again, under a lock that all connections share; for a hit that would be a good part of
//! the work. So all sleeps of one connection share one alarm, which stays where it is: when it goes off too early, because
//! it was set for an earlier head, it is set anew.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::rt::{Sleep, Timer};

/// Of one connection.
#[derive(Clone, Default)]
pub(crate) struct HeadTimer(Arc<Alarm>);

type Alarm = Mutex<Option<Pin<Box<tokio::time::Sleep>>>>;

struct HeadSleep {
    until: tokio::time::Instant,
    alarm: Arc<Alarm>,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HeadSleep { until: deadline.into(), alarm: self.0.clone() })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

impl Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut alarm = self.alarm.lock().expect("BUG: nothing panics while holding an alarm");
        let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.until)));
        if alarm.deadline() > self.until {
            alarm.as_mut().reset(self.until);
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            if alarm.deadline() >= self.until {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(self.until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Sleeps, and says for how long.
    async fn slept(timer: &HeadTimer, duration: Duration) -> Duration {
        let began = timer.now();
        let sleeps = tokio::time::timeout(MINUTE / 2, timer.sleep(duration));
        sleeps.await.expect("it goes off long before that");
        timer.now() - began
    }

    /// Begins a sleep and drops it before its end, as when the head came.
    async fn begun(timer: &HeadTimer, duration: Duration) {
        let begin = |context: &mut Context<'_>| Poll::Ready(timer.sleep(duration).as_mut().poll(context).is_pending());
        assert!(std::future::poll_fn(begin).await);
    }

    #[tokio::test]
    async fn each_sleep_ends_at_its_own_time() {
        let timer = HeadTimer::default();
        // The next one waits on the same alarm, which is set too early for it.
        begun(&timer, 2 * SHORT).await;
        assert!(slept(&timer, 5 * SHORT).await >= 5 * SHORT);
        // The alarm has gone off while nobody waited.
        begun(&timer, 2 * SHORT).await;
        tokio::time::sleep(4 * SHORT).await;
        assert!(slept(&timer, 2 * SHORT).await >= 2 * SHORT);
        // One that ends before the alarm.
        begun(&timer, MINUTE).await;
        assert!(slept(&timer, SHORT).await >= SHORT);
    }
}
