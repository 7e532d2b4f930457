//! Secrets that are handed out and found again: a session's cookie, an authorization code, a device code. Each names its row and
//! carries 256 random bits, of which the row keeps the SHA-256 only: whoever reads the store can use none of them.

use crate::platform::Platform;
use crate::sha256;
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Random bytes of a ticket.
const SECRET_BYTES: usize = 32;
/// Characters of the text: 16 bytes of id and the secret, base64url.
const TEXT_CHARS: usize = 64;

/// A new ticket.
pub(super) struct Ticket {
    /// Key of the row.
    pub(super) id: String,
    /// What the row keeps.
    pub(super) hash: String,
    /// What is handed out.
    pub(super) text: Zeroizing<String>,
}

impl Ticket {
    /// A ticket whose id is in the order of time.
    pub(super) fn new(platform: &Platform) -> Self {
        let id = platform.new_id();
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        platform.random.fill(secret.as_mut_slice());
        let bytes = Zeroizing::new([id.as_bytes().as_slice(), secret.as_slice()].concat());
        Self {
            id: id.to_string(),
            hash: sha256::hex(secret.as_slice()),
            text: Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())),
        }
    }
}

/// What somebody showed: the row that it names, and whether it is that row's.
pub(super) struct Shown {
    /// Key of the row.
    pub(super) id: String,
    hash: String,
}

impl Shown {
    /// Reads a ticket; `None` for what was never one.
    pub(super) fn of(text: &str) -> Option<Self> {
        if text.len() != TEXT_CHARS {
            return None;
        }
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (id, secret) = bytes.split_at_checked(16)?;
        let id = Uuid::from_slice(id).ok()?;
        Some(Self { id: id.to_string(), hash: sha256::hex(secret) })
    }

    /// Whether the row that keeps `stored` is that of this ticket.
    pub(super) fn fits(&self, stored: &str) -> bool {
        same(&self.hash, stored)
    }
}

/// Compares two texts in a time that tells nothing.
pub(super) fn same(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ticket_names_no_row() {
        for text in ["", "x", &"!".repeat(TEXT_CHARS), &"A".repeat(TEXT_CHARS + 1)] {
            assert!(Shown::of(text).is_none(), "{text}");
        }
        let shown = Shown::of(&"A".repeat(TEXT_CHARS)).unwrap();
        assert_eq!(shown.id, Uuid::nil().to_string());
        assert!(
            shown.fits(&sha256::hex(&[0; SECRET_BYTES]))
                && !shown.fits(&sha256::hex(&[1; SECRET_BYTES]))
                && !shown.fits("")
        );
    }
}
