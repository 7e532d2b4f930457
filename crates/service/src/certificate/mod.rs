//! Certificate authorities of namespaces, and the certificates that devices get from them.
//!
//! Issuing: check the request, take a serial number of the block that this process reserved on disk, build and lint, sign,
//! and hand the row of the issued certificate to the caller, who commits it together with the device. A serial number
//! without a certificate is harmless.

mod authority;
mod cache;
mod issue;
mod policy;
mod publishing;
mod serials;
mod succession;

pub use authority::{
    Issuing, authority, authority_of, certificates_of, create_external, create_issuing, create_root, generations,
    issuing_of_namespace, of_namespace, pending_of, retire,
};
pub use cache::AuthorityCache;
pub use issue::{IssueRequest, Issued, check_common_name, issue_leaf};
pub use policy::{leaf_days, policy_lookup, policy_of};
pub use publishing::{ca_certificate, crl, refresh_lists};
pub use serials::Serials;
pub use succession::{accept, ask_again, finish, has_live_leaves, mark_warned, prepare, revoke, still_used, take_over};

pub use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState, CertificateRecord, CertificateState};
