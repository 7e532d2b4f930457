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
mod revoke;
mod serials;

pub use authority::{
    Issuing, authority, authority_of, certificates_of, create_issuing, create_root, issuing_of_namespace, retire,
};
pub use cache::AuthorityCache;
pub use issue::{IssueRequest, Issued, check_common_name, issue_leaf};
pub use policy::{leaf_days, policy_lookup, policy_of};
pub use publishing::{ca_certificate, crl};
pub use revoke::revoke_credential;
pub use serials::Serials;

pub use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState, CertificateRecord, CertificateState};
