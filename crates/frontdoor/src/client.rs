//! Who is at the other end of a TLS connection.

use ferrohub_model::network::Peer;

/// The other end: what it showed, and from where it comes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    /// Certificates that it holds the key of, leaf first, DER; empty when it showed none. The same after a resumption.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Its address and TLS version.
    pub(crate) peer: Peer,
}
