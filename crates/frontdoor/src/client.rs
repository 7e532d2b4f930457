//! Who is at the other end of a TLS connection.

use crate::places::{Origin, Place};
use ferrohub_model::network::Peer;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The other end: what it showed, from where it comes, and whether it has proven who it is.
#[derive(Clone, Default)]
pub(crate) struct Client {
    /// Certificates that it holds the key of, leaf first, DER; empty when it showed none. The same after a resumption.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Its address and TLS version.
    pub(crate) peer: Peer,
    /// Where it stands; `None` behind a pipe, where nobody counts.
    pub(crate) place: Option<Arc<Place>>,
}

impl Client {
    /// With whom it shares places, bytes and tries.
    pub(crate) fn origin(&self) -> Origin {
        Origin::of(self.peer.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
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
