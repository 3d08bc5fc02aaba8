//! What may be spent on responses that nobody has asked for yet: those who ask earn it. A site that is asked little then does
//! little between one push and the next, and one that is asked much is ready for it.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use nearside_protocol::limits;

use crate::counts::Demand;

pub(crate) struct Credit(Mutex<Account>);

/// Both must have something left. Below zero after a render that took longer than that.
struct Account {
    /// What visitors earned, and a little that time did, so that a quiet site has its pages ready as well.
    earned_us: i64,
    /// A share of one core, whatever was earned.
    share_us: i64,
    demand: Demand,
    at: Instant,
}

impl Default for Credit {
    /// Enough for all that is made before one switch.
    fn default() -> Credit {
        Credit(Mutex::new(Account {
            earned_us: MOST_US,
            share_us: MOST_US,
            demand: Demand::default(),
            at: Instant::now(),
        }))
    }
}

const MOST_US: i64 = limits::CARRY_TIME.as_micros() as i64;

impl Credit {
    /// Whether there is some, when this is what visitors have asked for by now.
    pub(crate) fn is_left(&self, demand: Demand) -> bool {
        let mut account = self.account();
        account.earn(demand, Instant::now());
        account.earned_us > 0 && account.share_us > 0
    }

    pub(crate) fn spend(&self, took: Duration) {
        let mut account = self.account();
        account.earned_us = account.earned_us.saturating_sub(us(took));
        account.share_us = account.share_us.saturating_sub(us(took));
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().expect("BUG: nothing panics while holding an account")
    }
}

impl Account {
    fn earn(&mut self, demand: Demand, now: Instant) {
        let time = now.saturating_duration_since(self.at);
        if time < LEAST_TIME {
            return;
        }
        // Other counts begin with another version of the app.
        let requests = demand.requests.saturating_sub(self.demand.requests).min(u64::from(u32::MAX)) as u32;
        let by_visitors = demand.a_render.saturating_mul(requests) / limits::CARRY_REQUESTS_A_RENDER;
        let earned_us = us(by_visitors).saturating_add(us(time / limits::CARRY_SHARE_IDLE));
        self.earned_us = self.earned_us.saturating_add(earned_us).min(MOST_US);
        self.share_us = self.share_us.saturating_add(us(time / limits::CARRY_SHARE)).min(MOST_US);
        (self.demand, self.at) = (demand, now);
    }
}

/// In less, less than a microsecond may be earned, which would be lost.
const LEAST_TIME: Duration = Duration::from_millis(1);

fn us(time: Duration) -> i64 {
    time.as_micros().min(i64::MAX as u128) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { earned_us: 0, share_us: 0, demand: Demand::default(), at: Instant::now() }
    }

    fn demand(requests: u64) -> Demand {
        Demand { requests, a_render: Duration::from_micros(200) }
    }

    /// What may be spent after a second with so many requests.
    fn earned_us(requests: u64) -> i64 {
        let mut account = account();
        account.earn(demand(requests), account.at + Duration::from_secs(1));
        account.earned_us.min(account.share_us)
    }

    #[test]
    fn who_asks_earns_up_to_a_share_of_a_core() {
        assert_eq!(earned_us(0), 5_000, "a quiet site has its pages made, too");
        assert_eq!(earned_us(100), 15_000, "half a render each");
        assert_eq!(earned_us(1_000), 105_000);
        assert_eq!(earned_us(1_000_000), 250_000, "a quarter of a core");
    }

    #[test]
    fn looking_often_loses_nothing() {
        let mut account = account();
        let start = account.at;
        for n in 1..=1_000_000 {
            account.earn(demand(n / 10_000), start + Duration::from_micros(n));
        }
        assert_eq!((account.earned_us, account.share_us), (15_000, 250_000));
    }

    #[test]
    fn it_is_spent_and_overdrawn_and_does_not_pile_up() {
        let credit = Credit::default();
        assert!(credit.is_left(Demand::default()));
        credit.spend(limits::CARRY_TIME + Duration::from_secs(10));
        assert!(!credit.is_left(demand(50)));
        let mut account = account();
        account.earn(demand(u64::MAX), account.at + Duration::from_secs(3_600));
        assert_eq!((account.earned_us, account.share_us), (MOST_US, MOST_US));
        // Counts of another version of the app begin at nothing.
        account.earn(demand(0), account.at + Duration::from_secs(1));
        assert_eq!((account.earned_us, account.share_us), (MOST_US, MOST_US));
    }
}
