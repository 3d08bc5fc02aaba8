//! Components in use, by the digest of their bytes. Apps whose components are the same file - a thousand small sites made of one
//! template, say - have one copy of the machine code between them, and of what their memories begin as.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use nearside_protocol::digest::Digest;
use wasmtime::component::Component;

use super::EngineError;

/// Held while the component is made: who wants the same one meanwhile waits, and does not compile it a second time.
type Place = Arc<Mutex<Weak<Component>>>;

#[derive(Default)]
pub(super) struct Loaded(Mutex<HashMap<Digest, Place>>);

impl Loaded {
    /// The component that somebody has, or one that `load` makes.
    pub(super) fn or_load(
        &self,
        digest: Digest,
        load: impl FnOnce() -> Result<Component, EngineError>,
    ) -> Result<Arc<Component>, EngineError> {
        let place = self.place(digest);
        // Whoever panicked while compiling has left nothing behind.
        let mut kept = place.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(component) = kept.upgrade() {
            return Ok(component);
        }
        let component = Arc::new(load()?);
        *kept = Arc::downgrade(&component);
        Ok(component)
    }

    /// Forgets those that nobody has any more, so that there are never more places than components in use or being made.
    fn place(&self, digest: Digest) -> Place {
        let mut places = self.0.lock().expect("BUG: nothing panics while holding the places");
        let is_used = |place: &Place| {
            // More than our own count: somebody is at it just now.
            Arc::strong_count(place) > 1
                || place.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).strong_count() > 0
        };
        places.retain(|known, place| *known == digest || is_used(place));
        places.entry(digest).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A component's header: the magic number, version and layer. Nothing is in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn component(engine: &wasmtime::Engine) -> Result<Component, EngineError> {
        Component::new(engine, EMPTY).map_err(EngineError::Compile)
    }

    #[test]
    fn a_component_is_made_once_while_somebody_has_it() {
        let (engine, loaded, made) = (wasmtime::Engine::default(), Loaded::default(), Cell::new(0));
        let load = |name: &[u8]| {
            let make = || {
                made.set(made.get() + 1);
                component(&engine)
            };
            loaded.or_load(Digest::of(name), make).unwrap()
        };
        let (one, same, other) = (load(b"a"), load(b"a"), load(b"b"));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        assert_eq!(made.get(), 2);
        drop((one, same));
        // Nobody has it any more, so it is neither there nor remembered.
        load(b"b");
        assert_eq!((made.get(), loaded.0.lock().unwrap().len()), (2, 1));
        load(b"a");
        assert_eq!(made.get(), 3);
    }

    #[test]
    fn many_at_once_make_one() {
        let (engine, loaded, made) = (wasmtime::Engine::default(), Loaded::default(), Mutex::new(0));
        std::thread::scope(|scope| {
            let load = || {
                loaded.or_load(Digest::of(b"a"), || {
                    *made.lock().unwrap() += 1;
                    component(&engine)
                })
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            let all: Vec<Arc<Component>> = all.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
            assert!(all.windows(2).all(|pair| Arc::ptr_eq(&pair[0], &pair[1])));
        });
        assert_eq!(*made.lock().unwrap(), 1);
    }

    #[test]
    fn what_could_not_be_made_is_tried_again() {
        let (engine, loaded) = (wasmtime::Engine::default(), Loaded::default());
        let bad = || Component::new(&engine, "nonsense").map_err(EngineError::Compile);
        assert!(loaded.or_load(Digest::of(b"a"), bad).is_err());
        assert!(loaded.or_load(Digest::of(b"a"), || component(&engine)).is_ok());
    }
}
