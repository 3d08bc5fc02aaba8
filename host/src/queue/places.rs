//! The places and who waits for them, as values: what happens at which moment is told, never looked at.

use std::{collections::BTreeMap, time::Duration};

use nearside_protocol::{class::Class, limits, status::QueueStatus};
use tokio::time::Instant;

use super::{
    Load,
    line::{Line, Outcome, Tell, Waiter},
};
use crate::shed::Shed;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arrived {
    /// It has a place.
    In,
    /// It may wait for one.
    MayWait,
    Refused(Shed),
}

pub(super) struct Places {
    sheds: bool,
    /// Renders that may use a core before others wait for one; more for commands; and those that others do not wait for.
    most: usize,
    most_with_commands: usize,
    most_long: usize,
    most_spare: usize,
    /// Renders that may use a core before one for a sibling waits, and how many of those there may be.
    most_with_handed: usize,
    most_handed: usize,
    /// Those that use a core now.
    running: usize,
    long: usize,
    lines: [Line; Class::ALL.len()],
    /// Of whoever comes next.
    number: u64,
    /// Who is to be told what, as soon as the places are not held.
    decided: Vec<(Tell, Outcome)>,
}

impl Places {
    pub(super) fn new(load: &Load, now: Instant) -> Places {
        let a_core = |sheds: usize| if load.sheds { sheds * load.cores } else { limits::RENDERS_AT_ONCE };
        let most = a_core(limits::RENDERS_A_CORE);
        Places {
            sheds: load.sheds,
            most,
            most_with_commands: most + a_core(limits::COMMANDS_A_CORE),
            most_long: a_core(limits::LONG_RENDERS_A_CORE),
            most_spare: limits::CARRY_AT_ONCE.min(load.cores),
            most_with_handed: limits::HANDED_RUNNING_A_CORE * load.cores,
            most_handed: limits::HANDED_A_CORE * load.cores,
            running: 0,
            long: 0,
            lines: Class::ALL.map(|_| Line::new(now)),
            number: 0,
            decided: Vec::new(),
        }
    }

    fn line(&mut self, class: Class) -> &mut Line {
        &mut self.lines[class as usize]
    }

    // --- Coming ---------------------------------------------------------------------------------------------------------

    pub(super) fn arrive(&mut self, class: Class, now: Instant) -> Arrived {
        self.look(now);
        if self.line(class).waiting.is_empty() && self.has_room(class) {
            self.enter(class, Duration::ZERO);
            return Arrived::In;
        }
        if let Some(shed) = self.turn_away(class, now) {
            return Arrived::Refused(shed);
        }
        if self.line(class).waiting.len() >= limits::RENDERS_WAITING {
            if !self.sheds {
                self.count(Shed::Full(class));
                return Arrived::Refused(Shed::Full(class));
            }
            self.refuse_oldest(class, Shed::Full(class));
        }
        Arrived::MayWait
    }

    /// Whoever comes to a queue that stands while enough wait in it goes away at once.
    pub(super) fn turn_away(&mut self, class: Class, now: Instant) -> Option<Shed> {
        let (sheds, most) = (self.sheds, self.most);
        let line = self.line(class);
        let is_enough = sheds && line.stands(now) && line.waiting.len() >= line.enough(most);
        if !is_enough {
            return None;
        }
        line.refused(now);
        let shed = Shed::Delay(class);
        self.count(shed);
        Some(shed)
    }

    /// One that may wait does, under this number.
    pub(super) fn wait(&mut self, class: Class, tell: Tell, now: Instant) -> u64 {
        self.number += 1;
        let number = self.number;
        self.line(class).waiting.push_back(Waiter { number, since: now, tell });
        number
    }

    /// A place for who would not wait for one.
    pub(super) fn at_once(&mut self, class: Class, now: Instant) -> bool {
        let is_free = self.nobody_waits() && self.has_room(class);
        if is_free {
            self.look(now);
            self.enter(class, Duration::ZERO);
        }
        is_free
    }

    fn nobody_waits(&self) -> bool {
        self.lines.iter().all(|line| line.waiting.is_empty())
    }

    /// A place for what nobody waits for: as long as nobody waits at all, and one a core.
    pub(super) fn spare(&mut self) -> bool {
        let few = self.lines[Class::Refresh as usize].under_way < self.most_spare;
        let is_spare =
            self.nobody_waits() && few && self.running <= self.most && self.under_way() < limits::RENDERS_AT_ONCE;
        if is_spare {
            self.enter(Class::Refresh, Duration::ZERO);
        }
        is_spare
    }

    fn has_room(&self, class: Class) -> bool {
        self.has_core(class)
            && self.lines[class as usize].under_way < self.most_under_way(class)
            && self.under_way() < limits::RENDERS_AT_ONCE
    }

    fn has_core(&self, class: Class) -> bool {
        let most = match class {
            Class::Command => self.most_with_commands,
            Class::Handed => self.most_with_handed,
            Class::Page | Class::Search | Class::Refresh => self.most,
        };
        self.running < most
    }

    /// Of a class, whatever they wait for.
    fn most_under_way(&self, class: Class) -> usize {
        match class {
            Class::Command => limits::COMMANDS_AT_ONCE,
            Class::Page => limits::PAGES_AT_ONCE,
            Class::Search => limits::SEARCHES_AT_ONCE,
            Class::Handed => self.most_handed,
            Class::Refresh => limits::REFRESHES_AT_ONCE,
        }
    }

    fn under_way(&self) -> usize {
        self.lines.iter().map(|line| line.under_way).sum()
    }

    fn enter(&mut self, class: Class, waited: Duration) {
        self.running += 1;
        self.line(class).enter(waited);
    }

    // --- Waiting --------------------------------------------------------------------------------------------------------

    /// When whoever waits under this number is to be looked at again; nothing if it does not wait any more.
    pub(super) fn due(&mut self, class: Class, number: u64, now: Instant) -> Option<Instant> {
        let (sheds, most) = (self.sheds, self.most);
        let line = self.line(class);
        let since = line.waiting[line.at(number)?].since;
        // Without shedding there is nothing to look for but the end of patience.
        let wait = if sheds { line.allowed(most, now) } else { limits::ROUTE_DEADLINE_MOST };
        Some(since.max(line.calm_at) + wait)
    }

    /// Tells those who have waited for too long, and those for whom there is room.
    pub(super) fn look(&mut self, now: Instant) {
        self.note_calm(now);
        if self.sheds {
            // The lowest first.
            Class::ALL.into_iter().rev().for_each(|class| self.refuse_late(class, now));
        }
        self.hand_out(now);
    }

    fn note_calm(&mut self, now: Instant) {
        let most = self.most;
        for class in Class::ALL {
            let has_core = self.has_core(class);
            let line = self.line(class);
            line.note_calm(has_core, most, now);
        }
    }

    fn refuse_late(&mut self, class: Class, now: Instant) {
        let most = self.most;
        loop {
            let line = self.line(class);
            let Some(oldest) = line.waiting.front() else { return };
            // Who waits for something else than a core does so for as long as it likes.
            let waited = now.saturating_duration_since(oldest.since.max(line.calm_at));
            if waited < line.allowed(most, now) {
                return;
            }
            self.refuse_oldest(class, Shed::Delay(class));
            self.line(class).refused(now);
        }
    }

    fn refuse_oldest(&mut self, class: Class, shed: Shed) {
        if let Some(waiter) = self.line(class).waiting.pop_front() {
            self.decided.push((waiter.tell, Err(shed)));
            self.count(shed);
        }
    }

    fn hand_out(&mut self, now: Instant) {
        while let Some(class) = Class::ALL
            .into_iter()
            .find(|class| !self.lines[*class as usize].waiting.is_empty() && self.has_room(*class))
        {
            let newest_first = self.sheds && self.line(class).stands(now);
            let waiting = &mut self.line(class).waiting;
            let next = if newest_first { waiting.pop_back() } else { waiting.pop_front() };
            let Some(waiter) = next else { return };
            self.enter(class, now.saturating_duration_since(waiter.since));
            self.decided.push((waiter.tell, Ok(())));
        }
    }

    /// It has no more patience.
    pub(super) fn give_up(&mut self, class: Class, number: u64) {
        if let Some(waiter) = self.line(class).take_out(number) {
            self.count(Shed::Delay(class));
            self.decided.push((waiter.tell, Err(Shed::Delay(class))));
        }
    }

    /// Nobody waits for it any more. What it would have done is the caller's to drop.
    pub(super) fn hang_up(&mut self, class: Class, number: u64, now: Instant) -> Option<Tell> {
        let waiter = self.line(class).take_out(number);
        self.look(now);
        waiter.map(|waiter| waiter.tell)
    }

    /// Who is to be told what: it is the caller's to do so.
    pub(super) fn decided(&mut self) -> Vec<(Tell, Outcome)> {
        std::mem::take(&mut self.decided)
    }

    // --- Running --------------------------------------------------------------------------------------------------------

    pub(super) fn begin(&mut self, is_long: bool, now: Instant) {
        // Until now there may have been a core that nobody waited for, however long ago somebody looked: dozens that waited
        // for the origin go on in one moment.
        self.note_calm(now);
        *if is_long { &mut self.long } else { &mut self.running } += 1;
    }

    pub(super) fn end(&mut self, is_long: bool, now: Instant) {
        self.look(now);
        *if is_long { &mut self.long } else { &mut self.running } -= 1;
        self.hand_out(now);
    }

    /// One that runs is not waited for any more, unless there are too many of those.
    pub(super) fn becomes_long(&mut self, now: Instant) -> bool {
        let may = self.long < self.most_long;
        if may {
            self.begin(true, now);
            self.end(false, now);
        }
        may
    }

    /// One is gone. Whether it was a long one; nothing if it used no core.
    pub(super) fn leave_as(&mut self, class: Class, is_long: Option<bool>, now: Instant) {
        self.look(now);
        self.line(class).under_way -= 1;
        match is_long {
            Some(is_long) => self.end(is_long, now),
            None => self.hand_out(now),
        }
    }

    // --- Telling --------------------------------------------------------------------------------------------------------

    pub(super) fn count(&mut self, shed: Shed) {
        self.line(shed.class()).shed[shed.index()] += 1;
    }

    /// Visitors are refused, or were a moment ago: their queue comes and goes while it is so.
    pub(super) fn is_hot(&self, now: Instant) -> bool {
        let visitors = Class::ALL.into_iter().filter(|class| class.is_visitors());
        let mut refused = visitors.filter_map(|class| self.lines[class as usize].refused_at);
        refused.any(|at| now.saturating_duration_since(at) < limits::HOT_FOR)
    }

    pub(super) fn status(&self) -> QueueStatus {
        let by_class = |value: fn(&Line) -> u64| {
            let named = |class: Class| (class.name().to_owned(), value(&self.lines[class as usize]));
            Class::ALL.into_iter().map(named).collect()
        };
        QueueStatus {
            cores_most: self.most as u64,
            running: (self.running + self.long) as u64,
            under_way: self.under_way() as u64,
            waiting: by_class(|line| line.waiting.len() as u64),
            admitted: by_class(|line| line.admitted),
            waited_ms: by_class(|line| line.waited.as_millis() as u64),
        }
    }

    pub(super) fn shed(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let of_class = |class: Class| {
            let reasons = Shed::REASONS.iter().zip(self.lines[class as usize].shed);
            (class.name().to_owned(), reasons.map(|(reason, count)| ((*reason).to_owned(), count)).collect())
        };
        Class::ALL.into_iter().map(of_class).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// Places of one core, all taken by pages; time goes by as it is told.
    struct Node {
        places: Places,
        now: Instant,
    }

    const STAND_MS: u64 = limits::RENDERS_STAND.as_millis() as u64;

    /// What one who waits was told.
    type Told = Arc<Mutex<Option<Outcome>>>;

    impl Node {
        fn full() -> Node {
            let now = Instant::now();
            let load = Load { cores: 1, sheds: true, renders_per_client_s: None };
            let mut node = Node { places: Places::new(&load, now), now };
            (0..limits::RENDERS_A_CORE).for_each(|_| assert!(matches!(node.arrive(Class::Page), Arrived::In)));
            // What was made before is long ago.
            node.later(1_000);
            node
        }

        /// Whoever is to be told something is told.
        fn does<T>(&mut self, what: impl FnOnce(&mut Places, Instant) -> T) -> T {
            let done = what(&mut self.places, self.now);
            self.places.decided().into_iter().for_each(|(tell, outcome)| tell(outcome));
            done
        }

        fn arrive(&mut self, class: Class) -> Arrived {
            self.does(|places, now| places.arrive(class, now))
        }

        fn waits(&mut self, class: Class) -> Told {
            assert_eq!(self.arrive(class), Arrived::MayWait);
            self.told(class)
        }

        fn told(&mut self, class: Class) -> Told {
            let told = Told::default();
            let tells = told.clone();
            let tell: Tell = Box::new(move |outcome| *tells.lock().unwrap() = Some(outcome));
            self.does(|places, now| places.wait(class, tell, now));
            told
        }

        fn later(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
            self.does(Places::look);
        }

        fn one_leaves(&mut self) {
            self.does(|places, now| places.leave_as(Class::Page, Some(false), now));
        }

        fn begins(&mut self) {
            self.does(|places, now| places.begin(false, now));
        }

        fn ends(&mut self) {
            self.does(|places, now| places.end(false, now));
        }

        fn shed(&self) -> u64 {
            self.places.shed().values().flat_map(BTreeMap::values).sum()
        }
    }

    fn told(told: &mut Told) -> Option<Outcome> {
        told.lock().unwrap().take()
    }

    #[test]
    fn a_short_rush_is_waited_out_in_order() {
        let mut node = Node::full();
        let mut waiting: Vec<Told> = (0..3).map(|_| node.waits(Class::Page)).collect();
        node.later(STAND_MS - 10);
        for waiter in &mut waiting {
            assert_eq!(told(waiter), None);
            node.one_leaves();
            assert_eq!(told(waiter), Some(Ok(())));
        }
        assert_eq!(node.shed(), 0);
        assert_eq!(node.places.status().waited_ms["page"], 3 * (STAND_MS - 10));
    }

    #[test]
    fn when_the_queue_stands_the_newest_go_first_and_nobody_waits_long() {
        let mut node = Node::full();
        let mut first = node.waits(Class::Page);
        node.later(STAND_MS - 1);
        assert_eq!(told(&mut first), None);
        node.later(1);
        assert_eq!(told(&mut first), Some(Err(Shed::Delay(Class::Page))));

        // As before, somebody waits all the time: from now on it stands.
        let mut node = Node::full();
        let mut waiting = vec![node.waits(Class::Page)];
        node.later(STAND_MS - 90);
        for _ in 0..9 {
            waiting.push(node.waits(Class::Page));
            node.later(10);
        }
        let outcomes: Vec<_> = waiting.iter_mut().map(told).collect();
        let late = Some(Err(Shed::Delay(Class::Page)));
        assert_eq!(outcomes[..9], vec![late; 9], "those who came 20 ms ago or earlier");
        assert_eq!(outcomes[9], None);
        let mut newest = node.waits(Class::Page);
        node.one_leaves();
        assert_eq!((told(&mut newest), told(&mut waiting[9])), (Some(Ok(())), None));
        node.one_leaves();
        assert_eq!(told(&mut waiting[9]), Some(Ok(())));
        // Some time after the last was refused, the next rush is waited out again.
        node.later(2 * STAND_MS);
        node.waits(Class::Page);
        let mut next = node.waits(Class::Page);
        node.later(STAND_MS - 10);
        assert_eq!(told(&mut next), None);
    }

    #[test]
    fn a_queue_that_moves_quickly_does_not_stand_though_it_is_never_empty() {
        let mut node = Node::full();
        let mut waiting: VecDeque<Told> = (0..30).map(|_| node.waits(Class::Page)).collect();
        // One is made each half millisecond, and comes again at once: each waits for 15 ms.
        for _ in 0..2_000 {
            node.now += Duration::from_micros(500);
            node.does(Places::look);
            node.one_leaves();
            let mut first = waiting.pop_front().unwrap();
            assert_eq!(told(&mut first), Some(Ok(())), "in order");
            waiting.push_back(node.waits(Class::Page));
        }
        assert_eq!(node.shed(), 0);
        // When each takes four times as long, they would wait for 60 ms.
        for _ in 0..STAND_MS {
            node.later(2);
            node.one_leaves();
            if node.arrive(Class::Page) == Arrived::MayWait {
                waiting.push_back(node.told(Class::Page));
            }
        }
        assert!(node.shed() > 0);
    }

    #[test]
    fn when_more_wait_than_can_be_made_in_a_moment_who_comes_is_turned_away_at_once() {
        let mut node = Node::full();
        let mut waiting: Vec<Told> = Vec::new();
        let mut turned_away = 0;
        // One is made each millisecond, and three come.
        for ms in 0..2_000 {
            node.later(1);
            node.one_leaves();
            for _ in 0..3 {
                match node.arrive(Class::Page) {
                    Arrived::MayWait => waiting.push(node.told(Class::Page)),
                    Arrived::Refused(shed) => {
                        assert_eq!(shed, Shed::Delay(Class::Page));
                        turned_away += 1;
                    }
                    Arrived::In => assert_eq!(ms, 0, "no place was empty"),
                }
            }
        }
        let made = waiting.iter_mut().filter_map(told).filter(Result::is_ok).count();
        assert!(made >= 1_990, "{made}");
        // Some of those who wait are passed by all who come later, until they have waited for too long.
        assert!(turned_away > 2_890, "{turned_away} of some 4,000");
        let still = node.places.status().waiting["page"];
        assert!(still <= 2 * limits::WAITING_A_PLACE as u64, "{still}");
        assert!(node.places.is_hot(node.now));
        // What comes now can be made: nobody is turned away, and a while later a rush is waited out again.
        for _ in 0..2 * STAND_MS {
            node.later(1);
            node.one_leaves();
            match node.arrive(Class::Page) {
                Arrived::MayWait => drop(node.told(Class::Page)),
                Arrived::In => {}
                Arrived::Refused(shed) => panic!("{shed:?}"),
            }
        }
        let mut rush: Vec<Told> = (0..50).map(|_| node.waits(Class::Page)).collect();
        node.later(STAND_MS - 10);
        assert!(rush.iter_mut().all(|waiter| told(waiter).is_none()));
    }

    #[test]
    fn a_few_who_come_again_and_again_do_not_stand_however_slow_their_pages_are() {
        let mut node = Node::full();
        let mut waiting: VecDeque<Told> = (0..6).map(|_| node.waits(Class::Page)).collect();
        // One is made each 8 ms: two in a moment, and each waits for 48 ms.
        for _ in 0..500 {
            node.later(8);
            node.one_leaves();
            let mut first = waiting.pop_front().unwrap();
            assert_eq!(told(&mut first), Some(Ok(())), "in order");
            waiting.push_back(node.waits(Class::Page));
        }
        assert_eq!(node.shed(), 0);
        assert!(!node.places.is_hot(node.now));
    }

    #[test]
    fn a_node_that_has_a_part_of_a_core_makes_what_it_can_in_that_part() {
        let mut node = Node::full();
        let (mut made, mut came, mut in_places) = (0, 0, limits::RENDERS_A_CORE);
        let mut waiting: Vec<Told> = Vec::new();
        // Of each 100 ms it runs for 39, in which it makes 13 pages; 16 are asked for, of which most are read when it runs again.
        for ms in 0..10_000 {
            node.now += Duration::from_millis(1);
            if ms % 100 >= 39 {
                continue;
            }
            node.does(Places::look);
            if ms % 3 == 0 && in_places > 0 {
                node.one_leaves();
                in_places -= 1;
                made += 1;
            }
            let asked_for = 16 * (ms + 1) / 100;
            for _ in came..asked_for {
                match node.arrive(Class::Page) {
                    Arrived::In => in_places += 1,
                    Arrived::MayWait => waiting.push(node.told(Class::Page)),
                    Arrived::Refused(_) => {}
                }
            }
            came = asked_for;
            waiting.retain_mut(|waiter| match told(waiter) {
                Some(outcome) => {
                    in_places += usize::from(outcome.is_ok());
                    false
                }
                None => true,
            });
        }
        assert!(made >= 1_275, "{made} of 1,300");
    }

    #[test]
    fn the_higher_class_goes_first_and_commands_do_not_wait_for_pages() {
        let mut node = Node::full();
        assert!(matches!(node.arrive(Class::Command), Arrived::In), "a place that is theirs alone");
        let mut all = [Class::Refresh, Class::Search, Class::Page, Class::Command].map(|class| node.waits(class));
        let mut told = || all.each_mut().map(|waiter| told(waiter).is_some());
        node.one_leaves();
        assert_eq!(told(), [false, false, false, true]);
        node.one_leaves();
        assert_eq!(told(), [false; 4], "two commands and nothing else");
        for next in [[false, false, true, false], [false, true, false, false]] {
            node.does(|places, now| places.leave_as(Class::Command, Some(false), now));
            assert_eq!(told(), next);
        }
        node.one_leaves();
        assert_eq!(told(), [true, false, false, false]);
    }

    #[test]
    fn one_for_a_sibling_comes_after_visitors_and_leaves_them_a_place() {
        let mut node = Node::full();
        let mut handed = node.waits(Class::Handed);
        node.one_leaves();
        assert_eq!(told(&mut handed), None, "half of the places are not for siblings");
        assert!(matches!(node.arrive(Class::Page), Arrived::In), "and this one is not");
        (0..2).for_each(|_| node.one_leaves());
        assert_eq!(told(&mut handed), Some(Ok(())));
        assert!(matches!(node.arrive(Class::Page), Arrived::In));
        // They wait for something else than a core, and yet there are not more of them than that.
        node.ends();
        for _ in 1..limits::HANDED_A_CORE {
            node.ends();
            assert!(matches!(node.arrive(Class::Handed), Arrived::In));
        }
        node.ends();
        let mut one_more = node.waits(Class::Handed);
        assert_eq!(told(&mut one_more), None);
        node.does(|places, now| places.leave_as(Class::Handed, None, now));
        assert_eq!(told(&mut one_more), Some(Ok(())));
    }

    #[test]
    fn a_node_is_hot_that_refuses_visitors_and_not_for_siblings() {
        let mut node = Node::full();
        let mut handed: Vec<Told> = (0..10).map(|_| node.waits(Class::Handed)).collect();
        node.later(STAND_MS - 1);
        assert!(!node.places.is_hot(node.now));
        let _first = node.waits(Class::Page);
        node.later(STAND_MS - 100);
        let _waiting: Vec<Told> = (0..9)
            .map(|_| {
                node.later(10);
                node.waits(Class::Page)
            })
            .collect();
        assert!(!node.places.is_hot(node.now), "a rush");
        node.later(10);
        assert!(node.places.is_hot(node.now));
        // The last of them is refused, and then nobody is for a while.
        node.later(30);
        node.later(limits::HOT_FOR.as_millis() as u64 - 1);
        assert!(node.places.is_hot(node.now), "it was just now");
        node.later(1);
        assert!(!node.places.is_hot(node.now));
        assert!(handed.iter_mut().all(|waiter| told(waiter).is_some()));
    }

    #[test]
    fn whoever_waits_for_something_else_than_a_core_may_wait() {
        let mut node = Node::full();
        // All of them wait for the origin.
        (0..limits::RENDERS_A_CORE).for_each(|_| node.ends());
        (limits::RENDERS_A_CORE..limits::PAGES_AT_ONCE).for_each(|_| {
            assert!(matches!(node.arrive(Class::Page), Arrived::In));
            node.ends();
        });
        let mut waiter = node.waits(Class::Page);
        node.later(1_900);
        assert_eq!((node.shed(), told(&mut waiter)), (0, None));
        node.does(|places, now| places.leave_as(Class::Page, None, now));
        assert_eq!(told(&mut waiter), Some(Ok(())));
    }

    #[test]
    fn a_crowd_that_waits_for_something_else_and_goes_on_at_once_is_no_queue_that_stands() {
        let mut node = Node::full();
        (0..limits::RENDERS_A_CORE).for_each(|_| node.ends());
        (limits::RENDERS_A_CORE..limits::PAGES_AT_ONCE).for_each(|_| {
            assert!(matches!(node.arrive(Class::Page), Arrived::In));
            node.ends();
        });
        let mut waiting: Vec<Told> = (0..400).map(|_| node.waits(Class::Page)).collect();
        // Nobody looks in the meantime.
        node.now += 2 * limits::RENDERS_STAND;
        (0..limits::PAGES_AT_ONCE).for_each(|_| node.begins());
        node.now += Duration::from_micros(100);
        (0..limits::PAGES_AT_ONCE).for_each(|_| node.one_leaves());
        assert_eq!(node.shed(), 0);
        assert_eq!(told(&mut waiting[limits::RENDERS_A_CORE - 1]), Some(Ok(())));
        // It stands when they go on using all cores.
        node.later(STAND_MS);
        assert!(node.shed() > 0);
    }

    #[test]
    fn a_full_queue_gives_up_its_oldest() {
        let mut node = Node::full();
        let mut waiting: Vec<Told> = (0..limits::RENDERS_WAITING).map(|_| node.waits(Class::Search)).collect();
        let mut one_more = node.waits(Class::Search);
        assert_eq!(told(&mut waiting[0]), Some(Err(Shed::Full(Class::Search))));
        assert_eq!((told(&mut waiting[1]), told(&mut one_more)), (None, None));
        assert_eq!(node.places.shed()["search"]["full"], 1);
    }

    #[test]
    fn what_nobody_waits_for_takes_little_and_only_while_nobody_waits() {
        let mut node = Node::full();
        assert!(node.places.spare() && !node.places.spare(), "one beside those who run");
        node.does(|places, now| places.leave_as(Class::Refresh, Some(false), now));
        let _waits = node.waits(Class::Page);
        assert!(!node.places.spare());
        assert_eq!(node.places.status().under_way, 2);
    }
}
