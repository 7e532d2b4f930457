//! Keys and tokens of a device, in the base64 text in which Azure hands keys out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::sas_token;

/// How long a token of the simulated device is valid, seconds (the SDKs' default: one hour).
const TOKEN_SECONDS: i64 = 3600;

/// The key of one device of a symmetric-key enrollment group, base64 as `group_key` is.
///
/// # Errors
/// `Invalid` where the group's key is not base64.
pub fn derive(group_key: &str, registration_id: &str) -> Result<String> {
    Ok(STANDARD.encode(sas_token::derive_device_key(&decoded(group_key)?, registration_id)))
}

/// The SAS token with which a device registers.
///
/// # Errors
/// `Invalid` where the key is not base64.
pub fn registration_token(id_scope: &str, registration_id: &str, key: &str, expiry: i64) -> Result<String> {
    let resource = format!("{id_scope}/registrations/{registration_id}");
    Ok(sas_token::sign(&resource, &decoded(key)?, expiry, Some("registration")))
}

/// The SAS token with which a device connects to its hub.
///
/// # Errors
/// `Invalid` where the key is not base64.
pub fn device_token(host: &str, device_id: &str, key: &str, expiry: i64) -> Result<String> {
    Ok(sas_token::sign(&format!("{host}/devices/{device_id}"), &decoded(key)?, expiry, None))
}

/// When a token made now expires, Unix seconds.
pub(super) fn token_expiry(clock: &dyn Clock) -> i64 {
    clock.unix_seconds() + TOKEN_SECONDS
}

fn decoded(key: &str) -> Result<Vec<u8>> {
    let bytes = STANDARD
        .decode(key.trim())
        .map_err(|_| Error::invalid("The key is not base64; give it as DPS or the hub shows it."))?;
    if bytes.is_empty() {
        return Err(Error::invalid("The key is empty; give it as DPS or the hub shows it."));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_wire::sas_token::SasToken;

    /// Azure's documented vector (reference/iot-hub-and-dps.md, A.3).
    #[test]
    fn the_documented_vector() {
        let group = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let key = derive(group, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6").unwrap();
        assert_eq!(key, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
        // What `az iot dps compute-device-key` prints.
        assert_eq!(derive("UEs=", "r1").unwrap(), "/PR7r47W1NXSiYXe6JEoCeGf4sYTFxmAaoZS1e9m7+Y=");
    }

    #[test]
    fn tokens_verify_under_the_key_and_name_what_they_open() {
        let key = STANDARD.encode(b"0123456789abcdef");
        let token = SasToken::parse(&registration_token("0ne1", "sn-1", &key, 2_000).unwrap()).unwrap();
        assert_eq!(
            (token.resource.as_str(), token.policy.as_deref()),
            ("0ne1/registrations/sn-1", Some("registration"))
        );
        assert_eq!(token.verify(b"0123456789abcdef", 1_999), Ok(()));
        let token = SasToken::parse(&device_token("h.localhost", "Pump:1", &key, 2_000).unwrap()).unwrap();
        assert_eq!((token.resource.as_str(), token.policy), ("h.localhost/devices/Pump:1", None));
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for bad in ["", "  ", "no base64!"] {
            assert!(derive(bad, "d").is_err(), "{bad}");
        }
    }
}
