//! A delta that is pulled, kept as it comes for siblings who want the same one.

use std::sync::Mutex;

use bytes::Bytes;
use nearside_protocol::limits;

use super::{path::Offer, sources::Sources};
use crate::deltas::{Delta, Deltas};

/// Its pieces so far.
pub(super) struct PassedOn(Option<(Delta, Mutex<Vec<Bytes>>)>);

impl PassedOn {
    /// Nothing where nobody will ask for it here.
    pub(super) fn of(object: &Offer, sources: &Sources) -> PassedOn {
        let is_asked_for = (limits::SIBLING_DELTA_BYTES..=limits::PASSED_ON_BYTES).contains(&object.bytes);
        let from = object.from.filter(|_| is_asked_for && sources.has_siblings());
        PassedOn(from.map(|from| ((from, object.to), Mutex::default())))
    }

    pub(super) fn note(&self, piece: &Bytes) {
        if let Some((_, pieces)) = &self.0 {
            pieces.lock().expect("BUG: nothing panics while holding the pieces").push(piece.clone());
        }
    }

    pub(super) fn keep(self, deltas: &Deltas) {
        if let Some((delta, pieces)) = self.0 {
            let pieces = pieces.into_inner().expect("BUG: nothing panics while holding the pieces");
            deltas.keep(delta, pieces.concat().into());
        }
    }
}
