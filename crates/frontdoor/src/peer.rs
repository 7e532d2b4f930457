//! The other end of a connection, as the protocols see it.

use crate::places::{Origin, Place};
use std::net::IpAddr;
use std::sync::Arc;

/// Who is at the other end.
#[derive(Clone)]
pub(crate) struct Peer {
    /// Certificates that it showed in the TLS handshake and holds the key of the first of, DER; empty without.
    pub(crate) chain: Arc<Vec<Vec<u8>>>,
    /// Where it is.
    pub(crate) origin: Origin,
    place: Option<Arc<Place>>,
}

impl Peer {
    /// One that came from `address` and stands in `place`.
    pub(crate) fn new(chain: Vec<Vec<u8>>, address: IpAddr, place: Arc<Place>) -> Self {
        Self { chain: Arc::new(chain), origin: Origin::of(address), place: Some(place) }
    }

    /// One behind a pipe.
    #[cfg(test)]
    pub(crate) fn local(chain: Vec<Vec<u8>>) -> Self {
        Self { chain: Arc::new(chain), origin: Origin::of(IpAddr::from([127, 0, 0, 1])), place: None }
    }

    /// It has proven who it is.
    pub(crate) fn prove(&self) {
        if let Some(place) = &self.place {
            place.prove();
        }
    }

    /// Whether it has.
    pub(crate) fn is_proven(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.is_proven())
    }
}
