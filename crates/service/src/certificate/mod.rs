//! Certificate authorities of namespaces, and the certificates that devices get from them.
//!
//! Issuing: check the request, take a serial number of the block that this process reserved on disk, build and lint, sign,
//! and hand the row of the issued certificate to the caller, who commits it together with the device. A serial number
//! without a certificate is harmless.

mod authority;
mod authority_rows;
mod cache;
pub(crate) mod expiry;
mod inventory;
mod issue;
mod kept;
mod key_type;
mod list_rows;
mod policy;
mod publishing;
mod record;
mod revoke;
mod serials;
mod succession;
pub(crate) mod upkeep;

pub use authority::{Issuing, create_external, create_issuing, create_root, retire};
pub use authority_rows::{
    active_of, authority, authority_of, certificates_of, generations, issuing_of_namespace, of_namespace, pending_of,
};
pub use cache::AuthorityCache;
pub use inventory::{Found, Standing, Wanted, by_serial as issued_by_serial, page as inventory_page};
pub use issue::{IssueRequest, Issued, check_common_name, issue_leaf};
pub use kept::kept;
pub use key_type::{ECC, KEY_TYPES, key_kind, key_type};
pub use policy::{ENABLED, is_enabled, leaf_days, policy_lookup, policy_of};
pub use publishing::{ca_certificate, crl, refresh_lists};
pub use record::{put as certificate_row, revoke as revoke_certificate};
pub use revoke::revoke_credential;
pub use serials::Serials;
pub use succession::{
    accept, ask_again, end_left, finish, has_live_leaves, mark_warned, prepare, replace_root, revoke, still_needed,
    take_over,
};

pub use ferrohub_model::certificate_authority::{AuthorityRecord, AuthorityState, CertificateRecord, CertificateState};
