//! Close codes and reasons: what may be sent, what a received one means.
//! Does not know when a Close is due; `connection` does.

use std::fmt;

use crate::error::{Error, Result};

/// A close code that may be sent: 1000–1003, 1007–1014 or 3000–4999
/// (RFC 6455 §7.4). 1004, 1005, 1006 and 1015 cannot be held by it, since they
/// never go on the wire.
///
/// ```
/// use wsworker::CloseCode;
/// assert!(CloseCode::try_from(4001).is_ok());
/// assert!(CloseCode::try_from(1006).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: this side goes away, a server that stops or a page that is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of message that this side does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: against this side's policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message that is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: this side met an error of its own.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: this side restarts.
    pub const RESTART: Self = Self(1012);
    /// 1013: try again later; a peer that reads too slowly gets it.
    pub const TRY_AGAIN: Self = Self(1013);
    /// 1014: a server behind this one failed.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for CloseCode {
    type Error = Error;

    fn try_from(code: u16) -> Result<Self> {
        if may_be_sent(code) {
            Ok(Self(code))
        } else {
            Err(Error::invalid(format!(
                "close code {code} may not be sent: allowed are 1000-1003, 1007-1014 and 3000-4999"
            )))
        }
    }
}

/// Why a connection ended, as [`Worker::on_close`](crate::Worker::on_close) hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseEvent {
    /// What the peer sent. 1005: its Close had no code. 1006: no Close came.
    /// After a violation of the peer's, or an error of the worker's, the code
    /// that this side sent.
    pub code: u16,
    /// The reason that goes with the code; often empty.
    pub reason: String,
    /// Both sides sent a Close.
    pub was_clean: bool,
}

impl CloseEvent {
    /// 1005: a Close without a code. Never on the wire.
    pub(crate) const NO_CODE: u16 = 1005;
    /// 1006: no Close came. Never on the wire.
    pub(crate) const ABNORMAL: u16 = 1006;

    /// The peer is gone without a Close.
    pub(crate) fn dropped() -> Self {
        Self {
            code: Self::ABNORMAL,
            reason: String::new(),
            was_clean: false,
        }
    }
}

/// The code, and the reason where there is one: `4001 (kicked)`.
impl fmt::Display for CloseEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "" => self.code.fmt(f),
            // A peer's words: what could steer a terminal is escaped.
            reason => write!(f, "{} ({})", self.code, reason.escape_debug()),
        }
    }
}

/// A Close that this side sends: nothing, or a code with a reason of at most 123 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClosePayload(Vec<u8>);

impl ClosePayload {
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    /// RFC 6455 §5.5: a control frame carries at most 125 bytes, two are the code's.
    pub(crate) fn new(code: CloseCode, reason: &str) -> Result<Self> {
        if reason.len() > MAX_REASON {
            return Err(Error::invalid(format!(
                "a close reason holds at most {MAX_REASON} bytes, got {}",
                reason.len()
            )));
        }
        Ok(Self::encode(code.get(), reason))
    }

    /// As `new`, with the reason cut at a character so that it fits.
    pub(crate) fn cut(code: CloseCode, reason: &str) -> Self {
        let end = (0..=MAX_REASON.min(reason.len()))
            .rev()
            .find(|&i| reason.is_char_boundary(i))
            .unwrap_or(0);
        Self::encode(code.get(), &reason[..end])
    }

    /// The answer to a peer's Close: its own code and reason (RFC 6455 §5.5.1).
    pub(crate) fn echo(event: &CloseEvent) -> Self {
        if event.code == CloseEvent::NO_CODE {
            Self::empty()
        } else {
            Self::encode(event.code, &event.reason)
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn encode(code: u16, reason: &str) -> Self {
        let mut payload = Vec::with_capacity(2 + reason.len());
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
        Self(payload)
    }
}

/// Reads a received Close's payload (RFC 6455 §5.5.1, §7.4).
pub(crate) fn parse(payload: &[u8]) -> Result<CloseEvent> {
    let (code, reason) = match payload {
        [] => (CloseEvent::NO_CODE, ""),
        [_] => {
            return Err(Error::protocol(
                1002,
                "a Close payload of 1 byte cannot hold a code",
            ));
        }
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(code) {
                return Err(Error::protocol(
                    1002,
                    format!("close code {code} may not be on the wire"),
                ));
            }
            let reason = std::str::from_utf8(reason)
                .map_err(|_| Error::protocol(1007, "the close reason is not UTF-8"))?;
            (code, reason)
        }
    };
    Ok(CloseEvent {
        code,
        reason: reason.to_owned(),
        was_clean: true,
    })
}

/// RFC 6455 §7.4.1, §7.4.2 and the IANA registry: 1012–1014 were registered later.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

const MAX_REASON: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent_are_the_registered_and_the_private_ones() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|c| may_be_sent(*c)).collect();
        let wanted: Vec<u16> = (1000..=1003)
            .chain(1007..=1014)
            .chain(3000..=4999)
            .collect();
        assert_eq!(allowed, wanted);
    }

    #[test]
    fn a_reason_is_counted_in_bytes() {
        assert!(ClosePayload::new(CloseCode::NORMAL, &"x".repeat(123)).is_ok());
        assert!(ClosePayload::new(CloseCode::NORMAL, &"x".repeat(124)).is_err());
        assert!(ClosePayload::new(CloseCode::NORMAL, &"é".repeat(62)).is_err());
    }

    #[test]
    fn a_cut_reason_stays_utf8_and_fits() {
        let payload = ClosePayload::cut(CloseCode::POLICY, &"é".repeat(100));
        assert!(payload.as_bytes().len() <= 125);
        assert!(std::str::from_utf8(&payload.as_bytes()[2..]).is_ok());
    }

    #[test]
    fn received_payloads_are_judged() {
        assert_eq!(parse(b"").unwrap().code, 1005);
        assert_eq!(parse(b"\x03").unwrap_err().close_code(), Some(1002));
        assert_eq!(parse(b"\x03\xee").unwrap_err().close_code(), Some(1002));
        assert_eq!(parse(b"\x03\xe8\xff").unwrap_err().close_code(), Some(1007));
        assert_eq!(parse(b"\x03\xe8bye").unwrap().reason, "bye");
    }

    #[test]
    fn one_is_shown_with_its_reason() {
        let shown = |payload: &[u8]| parse(payload).unwrap().to_string();
        assert_eq!(shown(b""), "1005");
        assert_eq!(shown(b"\x03\xe8"), "1000");
        assert_eq!(shown(b"\x0f\xa1bye\n"), "4001 (bye\\n)");
    }
}
