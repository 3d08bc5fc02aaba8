//! Up to where the change log can go: what every read database that follows it holds durably.

use std::sync::Mutex;

pub(crate) struct Trim {
    held: Mutex<Held>,
    tell: Box<dyn Fn(u64) + Send + Sync>,
}

#[derive(Default)]
struct Held {
    /// The last commit of the one that is for everyone, and of the one beside it, while there is one.
    main: u64,
    aside: Option<u64>,
}

impl Trim {
    /// `tell` is told how far it is. Where there is a second one from the start, nothing goes before that has told, too.
    pub(crate) fn new(is_aside: bool, tell: Box<dyn Fn(u64) + Send + Sync>) -> Trim {
        Trim { held: Mutex::new(Held { main: 0, aside: is_aside.then_some(0) }), tell }
    }

    pub(crate) fn main(&self, commit: u64) {
        self.change(|held| held.main = commit);
    }

    pub(crate) fn aside(&self, commit: u64) {
        self.change(|held| held.aside = held.aside.map(|_| commit));
    }

    /// A second one is about to be made: from here on nothing goes that it may need.
    pub(crate) fn begin_aside(&self) {
        self.change(|held| held.aside = Some(0));
    }

    pub(crate) fn end_aside(&self) {
        self.change(|held| held.aside = None);
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.held.lock().expect("BUG: nothing panics while holding the commits");
        change(&mut held);
        let both = held.aside.map_or(held.main, |aside| aside.min(held.main));
        if both > 0 {
            (self.tell)(both);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn nothing_goes_that_one_of_them_may_need() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let notes = told.clone();
        let trim = Trim::new(false, Box::new(move |commit| notes.lock().unwrap().push(commit)));
        trim.main(5);
        trim.begin_aside();
        trim.main(9);
        assert_eq!(told.lock().unwrap().drain(..).collect::<Vec<_>>(), [5]);
        trim.aside(7);
        trim.main(12);
        trim.aside(20);
        assert_eq!(told.lock().unwrap().drain(..).collect::<Vec<_>>(), [7, 7, 12]);
        trim.main(30);
        trim.end_aside();
        trim.aside(21);
        assert_eq!(told.lock().unwrap().drain(..).collect::<Vec<_>>(), [20, 30, 30]);
    }
}
