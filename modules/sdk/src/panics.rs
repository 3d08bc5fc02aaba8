//! What a panic says, on the node's log.

/// Has panics say it the way [`log`](crate::log()) does. The standard library's own way goes through the streams of the C
/// library, with an allocator of their own: where those two met, the message was lost and the panic became another trap.
pub(crate) fn to_log() {
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| crate::log(panic)));
}
