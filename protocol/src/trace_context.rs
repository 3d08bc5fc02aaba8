//! W3C trace context: which trace a request, a write or a task belongs to, and whether its spans are kept.
//!
//! ```text
//! traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//!              |  trace, 16 bytes                  span, 8 bytes    flags; 01: sampled
//! ```

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// On a request: whose child it is. On a write that waits, the same text is kept with it.
pub const HEADER: &str = "traceparent";

/// Of the version this writes; later ones may go on after it.
const TEXT_BYTES: usize = 55;
const SAMPLED: u8 = 1;

/// Not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// Not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

/// A span of a trace, as it is named to whoever goes on from there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    pub trace: TraceId,
    pub span: SpanId,
    /// Its spans are kept.
    pub is_sampled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no `traceparent` as W3C's trace context has it")]
pub struct NotATraceContext;

impl FromStr for TraceContext {
    type Err = NotATraceContext;

    fn from_str(text: &str) -> Result<TraceContext, NotATraceContext> {
        parse(text.as_bytes()).ok_or(NotATraceContext)
    }
}

fn parse(text: &[u8]) -> Option<TraceContext> {
    let (head, rest) = text.split_at_checked(TEXT_BYTES)?;
    let [version] = hex(&head[..2])?;
    let goes_on = rest.is_empty() || (version > 0 && rest[0] == b'-');
    let is_parted = [2, 35, 52].iter().all(|at| head[*at] == b'-');
    if version == 0xff || !goes_on || !is_parted {
        return None;
    }
    let (trace, span, [flags]) = (hex(&head[3..35])?, hex(&head[36..52])?, hex(&head[53..])?);
    let is_one = trace != [0; 16] && span != [0; 8];
    is_one.then_some(TraceContext { trace: TraceId(trace), span: SpanId(span), is_sampled: flags & SAMPLED != 0 })
}

/// Small digits only, as the standard has it.
fn hex<const BYTES: usize>(text: &[u8]) -> Option<[u8; BYTES]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == BYTES * 2).then_some(bytes)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for TraceContext {
    type Error = NotATraceContext;

    fn try_from(text: String) -> Result<TraceContext, NotATraceContext> {
        text.parse()
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> String {
        context.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_written_is_read_again() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert!(context.is_sampled);
        assert_eq!(context.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span.to_string(), "00f067aa0ba902b7");
        assert_eq!(context.to_string(), TEXT);
        let not = TraceContext { is_sampled: false, ..context };
        assert_eq!(not.to_string().parse(), Ok(not));
        assert_eq!(serde_json::from_str::<TraceContext>(&serde_json::to_string(&context).unwrap()).unwrap(), context);
    }

    #[test]
    fn other_versions_go_on_and_other_flags_are_let_be() {
        let later = TEXT.replace("00-4b", "01-4b") + "-what-comes-after";
        assert!(later.parse::<TraceContext>().unwrap().is_sampled);
        assert!(TEXT.replace("-01", "-03").parse::<TraceContext>().unwrap().is_sampled);
        assert!(!TEXT.replace("-01", "-02").parse::<TraceContext>().unwrap().is_sampled);
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in [
            String::new(),
            "00".into(),
            TEXT[..54].into(),
            format!("{TEXT}-more"),
            format!("{TEXT}0"),
            TEXT.replace("00-4b", "ff-4b"),
            TEXT.replace("00-4b", "0g-4b"),
            TEXT.to_uppercase(),
            TEXT.replace('-', "_"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".into(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".into(),
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-0".into(),
        ] {
            assert_eq!(nonsense.parse::<TraceContext>(), Err(NotATraceContext), "{nonsense}");
        }
    }
}
