//! Shared access signatures, from keys in base64 as the services show them.

use super::failure::{Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_wire::connection_string::ConnectionString;
use ferrohub_wire::sas_token;

fn decoded(key: &str) -> Result<Vec<u8>> {
    STANDARD.decode(key.trim()).map_err(|_| Failure::error("The shared access key is not base64."))
}

/// A `SharedAccessSignature` for `resource` (such as `hub.example/devices/d1`), signed with the
/// base64 `key`, ending at Unix time `expiry`; `policy` is absent for a device's own key.
///
/// # Errors
/// The key is not base64.
pub(crate) fn token(resource: &str, key: &str, policy: Option<&str>, expiry: i64) -> Result<String> {
    Ok(sas_token::sign(resource, &decoded(key)?, expiry, policy))
}

/// The signature that a connection string gives a right to: on its device, else on its host.
///
/// # Errors
/// It names no host, or its key is not base64.
pub(crate) fn token_of(given: &ConnectionString, expiry: i64) -> Result<String> {
    let host = host_of(given)?;
    let resource = given.device_id().map_or_else(|| host.to_owned(), |device| format!("{host}/devices/{device}"));
    let key = given.key().ok_or_else(|| Failure::error("The connection string has no SharedAccessKey."))?;
    token(&resource, key, given.policy(), expiry)
}

/// The host that a connection string names.
///
/// # Errors
/// It names none.
pub(crate) fn host_of(given: &ConnectionString) -> Result<&str> {
    given.host_name().ok_or_else(|| Failure::error("The connection string has no HostName."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_resource_and_policy() {
        let text = token("h.example/devices/d1", "UEs=", Some("iothubowner"), 1000).unwrap();
        assert!(text.contains("sr=h.example%2Fdevices%2Fd1&sig="), "{text}");
        assert!(text.ends_with("&se=1000&skn=iothubowner"), "{text}");
    }

    #[test]
    fn a_connection_string_signs_for_what_it_names() {
        let device = ConnectionString::for_device("h.example", "d1", "UEs=");
        assert!(token_of(&device, 5).unwrap().contains("sr=h.example%2Fdevices%2Fd1&"));
        let policy = ConnectionString::for_policy("h.example", "service", "UEs=");
        assert!(token_of(&policy, 5).unwrap().ends_with("&skn=service"));
    }
}
