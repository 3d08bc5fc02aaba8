//! Applying an object to a draft, on a thread that may block: decoding, hashing and writing keep a core busy.

use bytes::Bytes;
use nearside_protocol::{
    digest::Digest,
    page_object::{Broken, Reader, Snapshot},
};
use tokio::sync::mpsc;

use super::path::Offer;
use crate::pages::{Draft, PagesError};

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the object is not what it should be: {0}")]
    Broken(#[from] Broken),
    #[error("its pages have the root {got}, and {wanted} was wanted")]
    WrongRoot { wanted: Digest, got: Digest },
    #[error("it is made from page {0}, which is not there")]
    NoSuchPage(u32),
    #[error(transparent)]
    Pages(PagesError),
}

/// Takes pieces until there are no more. The draft is given back only if it has the root the object is to make.
pub fn apply(mut draft: Draft, object: &Offer, mut pieces: mpsc::Receiver<Bytes>) -> Result<Draft, ApplyError> {
    // A record may be made from any old page, also from one that an earlier record has replaced.
    let old = draft.table();
    let from = object.from.map(|root| Snapshot { root, pages: old.pages() });
    let mut reader = Reader::new(from, Snapshot { root: object.to, pages: object.page_count });
    draft.resize(object.page_count);
    while let Some(piece) = pieces.blocking_recv() {
        reader.take::<ApplyError>(
            &piece,
            |number, page| {
                old.read(number, page).map_err(|error| match error {
                    PagesError::NoPage { number, .. } => ApplyError::NoSuchPage(number),
                    other => ApplyError::Pages(other),
                })
            },
            |number, page| draft.put(number, page).map(drop).map_err(ApplyError::Pages),
        )?;
    }
    reader.finish()?;
    let (wanted, got) = (object.to, draft.root());
    if got == wanted { Ok(draft) } else { Err(ApplyError::WrongRoot { wanted, got }) }
}
