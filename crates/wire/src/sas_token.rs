//! Shared access signatures: `SharedAccessSignature sr=..&sig=..&se=..[&skn=..]`.
//!
//! The signature is HMAC-SHA256 over `{sr as sent}\n{se as sent}` (reference A.3 and F). Because
//! clients encode `sr` differently (`%2f` or `%2F`), it is checked over the very text received.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{SAS_CLOCK_SKEW_SECONDS, SAS_TOKEN_BYTES};

use crate::query_text;

const SCHEME: &str = "SharedAccessSignature";

/// A parsed token, not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub struct SasToken {
    /// What the token gives access to, decoded: `{host}[/devices/{d}[/modules/{m}]]` or `{idScope}/registrations/{rid}`.
    pub resource: String,
    /// `sr` exactly as sent.
    pub resource_raw: String,
    /// HMAC-SHA256, decoded from base64; 32 bytes if it is to be right.
    pub signature: Vec<u8>,
    /// End of validity in Unix seconds.
    pub expiry_unix: i64,
    /// `skn`: name of the shared access policy; absent for a device's or module's own key.
    pub policy: Option<String>,
    /// `se` exactly as sent, because it was signed like that.
    expiry_raw: String,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasFailure {
    /// The signature is right but the time is over.
    #[error("token has expired")]
    Expired,
    /// No key gives this signature.
    #[error("signature does not match")]
    BadSignature,
}

impl SasToken {
    /// Parses a token. Fields may come in any order; unknown fields are ignored.
    ///
    /// # Errors
    /// `Unauthenticated` naming the field that is missing, doubled or malformed; the token is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > SAS_TOKEN_BYTES {
            return Err(malformed("it is too long"));
        }
        let text = text.trim();
        let fields = match text.get(..SCHEME.len()) {
            Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => &text[SCHEME.len()..],
            _ => return Err(malformed("it does not start with 'SharedAccessSignature '")),
        };
        if !fields.starts_with(' ') {
            return Err(malformed("it does not start with 'SharedAccessSignature '"));
        }
        let mut found = [None; 4];
        for (key, value) in query_text::pairs(fields.trim_start()) {
            let slot = match key.to_ascii_lowercase().as_str() {
                "sr" => 0,
                "sig" => 1,
                "se" => 2,
                "skn" => 3,
                _ => continue,
            };
            if found[slot].replace(value.unwrap_or_default()).is_some() {
                return Err(malformed("a field is there twice"));
            }
        }
        let [resource, signature, expiry, policy] = found;
        let resource_raw = resource.filter(|raw| !raw.is_empty()).ok_or_else(|| malformed("'sr' is missing"))?;
        let signature = signature.ok_or_else(|| malformed("'sig' is missing"))?;
        let signature = STANDARD
            .decode(query_text::decode(signature, "SAS token")?)
            .map_err(|_| malformed("'sig' is not base64"))?;
        let expiry_raw = expiry.ok_or_else(|| malformed("'se' is missing"))?;
        let expiry_unix = expiry_raw.parse().map_err(|_| malformed("'se' is not a number of seconds"))?;
        let policy = match policy.filter(|name| !name.is_empty()) {
            Some(name) => Some(query_text::decode(name, "SAS token")?),
            None => None,
        };
        Ok(Self {
            resource: query_text::decode(resource_raw, "SAS token")?,
            resource_raw: resource_raw.to_owned(),
            signature,
            expiry_unix,
            policy,
            expiry_raw: expiry_raw.to_owned(),
        })
    }

    /// When the token stops opening anything, Unix seconds: its end, and what clocks may differ by.
    pub fn ends_unix(&self) -> i64 {
        self.expiry_unix.saturating_add(SAS_CLOCK_SKEW_SECONDS)
    }

    /// Checks signature, in constant time, and that `now_unix` (seconds) is before [`Self::ends_unix`].
    ///
    /// # Errors
    /// [`SasFailure::BadSignature`] first, so that only the owner of the key learns of [`SasFailure::Expired`].
    pub fn verify(&self, key: &[u8], now_unix: i64) -> Result<(), SasFailure> {
        self.verify_any(&[key], now_unix)
    }

    /// Like [`Self::verify`] with several keys (primary and secondary), of which one must fit.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_any(&self, keys: &[&[u8]], now_unix: i64) -> Result<(), SasFailure> {
        let signed = text_to_sign(&self.resource_raw, &self.expiry_raw);
        let fits = keys.iter().any(|key| {
            // An absent key must not verify what anyone can sign with the empty key, and takes as long as a wrong one.
            let tried: &[u8] = if key.is_empty() { &[0; 32] } else { key };
            let tried = hmac::Key::new(hmac::HMAC_SHA256, tried);
            hmac::verify(&tried, signed.as_bytes(), &self.signature).is_ok() && !key.is_empty()
        });
        if !fits {
            return Err(SasFailure::BadSignature);
        }
        if now_unix >= self.ends_unix() {
            return Err(SasFailure::Expired);
        }
        Ok(())
    }

    /// Whether the token's resource is `wanted` or a parent of it, segment by segment. The first segment
    /// (host or id scope) and the collection names are compared ignoring case, ids exactly; the id under whose own key a token is
    /// may be encoded twice, as the SDK for C# does it.
    pub fn covers(&self, wanted: &str) -> bool {
        let mut wanted = wanted.trim_matches('/').split('/');
        self.resource.trim_end_matches('/').split('/').enumerate().all(|(index, segment)| {
            wanted.next().is_some_and(|other| match index {
                2 | 4 => segment == other || (self.policy.is_none() && encoded_again(segment, other)),
                _ => segment.eq_ignore_ascii_case(other),
            })
        })
    }
}

impl fmt::Debug for SasToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SasToken")
            .field("resource", &self.resource)
            .field("expiry_unix", &self.expiry_unix)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Makes a token for `resource` (not encoded) with the decoded `key`, valid until `expiry_unix` seconds.
/// `policy` becomes `skn`; devices use none, DPS registrations use `registration`.
pub fn sign(resource: &str, key: &[u8], expiry_unix: i64, policy: Option<&str>) -> String {
    let resource = query_text::encode(resource);
    let expiry = expiry_unix.to_string();
    let tag = tag(key, text_to_sign(&resource, &expiry).as_bytes());
    let signature = query_text::encode(&STANDARD.encode(tag));
    let mut token = format!("{SCHEME} sr={resource}&sig={signature}&se={expiry}");
    if let Some(policy) = policy {
        token.push_str("&skn=");
        token.push_str(&query_text::encode(policy));
    }
    token
}

/// Key of one device of a symmetric-key enrollment group: HMAC-SHA256 of the registration id, as the
/// device sends it, under the decoded group key.
pub fn derive_device_key(group_key: &[u8], registration_id: &str) -> [u8; 32] {
    tag(group_key, registration_id.as_bytes())
}

fn encoded_again(segment: &str, id: &str) -> bool {
    segment.contains('%') && query_text::decode(segment, "SAS token").is_ok_and(|decoded| decoded == id)
}

fn tag(key: &[u8], text: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn text_to_sign(resource_raw: &str, expiry_raw: &str) -> String {
    format!("{resource_raw}\n{expiry_raw}")
}

fn malformed(fault: &str) -> Error {
    Error::unauthenticated(format!(
        "The SAS token is malformed: {fault}. Write 'SharedAccessSignature sr={{resource}}&sig={{signature}}&se={{expiry}}'."
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn device_keys_as_azure_documents_them() {
        let group = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let key = derive_device_key(&STANDARD.decode(group).unwrap(), "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
        assert_eq!(STANDARD.encode(key), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
        let key = derive_device_key(&STANDARD.decode("UEs=").unwrap(), "r1");
        assert_eq!(STANDARD.encode(key), "/PR7r47W1NXSiYXe6JEoCeGf4sYTFxmAaoZS1e9m7+Y=");
    }

    #[test]
    fn a_signed_token_verifies() {
        let text = sign("h.example/devices/Pump:1", KEY, 2_000, Some("device"));
        assert!(text.starts_with("SharedAccessSignature sr=h.example%2Fdevices%2FPump%3A1&sig="));
        assert!(text.ends_with("&se=2000&skn=device"));
        let token = SasToken::parse(&text).unwrap();
        assert_eq!(token.resource, "h.example/devices/Pump:1");
        assert_eq!(token.policy.as_deref(), Some("device"));
        assert_eq!(token.ends_unix(), 2_300, "clocks may differ by five minutes");
        assert_eq!(token.verify(KEY, 2_299), Ok(()));
        assert_eq!(token.verify(KEY, 2_300), Err(SasFailure::Expired));
        assert_eq!(token.verify(b"other", 3_000), Err(SasFailure::BadSignature));
        assert_eq!(token.verify_any(&[b"other", KEY], 1), Ok(()));
        assert_eq!(token.verify_any(&[], 1), Err(SasFailure::BadSignature));
    }

    #[test]
    fn the_empty_key_opens_nothing() {
        let token = SasToken::parse(&sign("h", b"", 2_000, None)).unwrap();
        assert_eq!(token.verify(b"", 1), Err(SasFailure::BadSignature));
    }

    #[test]
    fn the_resource_is_verified_as_sent_in_any_field_order() {
        let raw = "h%2fdevices%2fd";
        let sig = STANDARD.encode(tag(KEY, format!("{raw}\n2000").as_bytes()));
        // The service SDKs leave '/', '+' and '=' of the signature as they are.
        let token = SasToken::parse(&format!("SharedAccessSignature se=2000&skn=&sig={sig}&sr={raw}")).unwrap();
        assert_eq!(token.verify(KEY, 1), Ok(()));
        assert_eq!(token.resource, "h/devices/d");
        assert_eq!(token.resource_raw, raw);
        assert_eq!(token.policy, None);
    }

    #[test]
    fn coverage_is_by_segment() {
        let token = |resource: &str| SasToken::parse(&sign(resource, KEY, 1, None)).unwrap();
        assert!(token("H.Example").covers("h.example/devices/d"));
        assert!(token("h/devices/d").covers("h/devices/d"));
        assert!(token("h/devices/d").covers("h/devices/d/modules/m"));
        assert!(token("h/devices/d/").covers("h/Devices/d/messages/events"));
        assert!(!token("h/devices/d").covers("h/devices/D"));
        assert!(!token("h/devices/d").covers("h/devices/d2"));
        assert!(!token("h/devices/d").covers("h"));
        assert!(!token("h/devices/d/modules/m").covers("h/devices/d"));
        assert!(!token("h").covers("h2/devices/d"));
        // Encoded twice, as the SDK for C# does it; under a policy's key, which opens other devices too, once.
        assert!(token("h/devices/Pump%3A1").covers("h/devices/Pump:1"));
        assert!(token("h/devices/Pump%3A1").covers("h/devices/Pump%3A1"));
        assert!(!token("h/devices/Pump%3A1").covers("h/devices/pump:1"));
        let under_policy = SasToken::parse(&sign("h/devices/Pump%3A1", KEY, 1, Some("device"))).unwrap();
        assert!(!under_policy.covers("h/devices/Pump:1"));
    }

    #[test]
    fn faults_are_named_and_the_token_is_not_repeated() {
        let long = format!("SharedAccessSignature sr={}", "x".repeat(SAS_TOKEN_BYTES));
        for (text, part) in [
            ("", "start"),
            ("Bearer x", "start"),
            ("SharedAccessSignaturesr=a", "start"),
            ("SharedAccessSignature sig=AA==&se=1", "'sr'"),
            ("SharedAccessSignature sr=a&se=1", "'sig' is missing"),
            ("SharedAccessSignature sr=a&sig=!&se=1", "base64"),
            ("SharedAccessSignature sr=a&sig=AA==", "'se' is missing"),
            ("SharedAccessSignature sr=a&sig=AA==&se=x", "'se' is not"),
            ("SharedAccessSignature sr=a&sr=b&sig=AA==&se=1", "twice"),
            (long.as_str(), "too long"),
        ] {
            let error = SasToken::parse(text).unwrap_err();
            assert!(error.message.contains(part), "{text}: {}", error.message);
            assert!(!error.message.contains("AA=="));
        }
    }

    #[test]
    fn a_signature_is_not_printed() {
        let text = sign("h", b"k", 1, None);
        let printed = format!("{:?}", SasToken::parse(&text).unwrap());
        assert!(!printed.contains("signature"), "{printed}");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(
            text in prop_oneof!["\\PC{0,60}", "SharedAccessSignature (sr=|sig=|se=|skn=|&|%|a|1|é|=){0,12}"],
        ) {
            if let Ok(token) = SasToken::parse(&text) {
                let _ = token.verify(KEY, 0);
                let _ = token.covers("h/devices/d");
            }
        }

        #[test]
        fn what_is_signed_verifies_and_covers_itself(
            resource in "[^/\0]{1,10}(/[^/\0]{1,10}){0,4}",
            key in prop::collection::vec(any::<u8>(), 1..80),
            policy in prop::option::of(".{1,10}"),
        ) {
            let token = SasToken::parse(&sign(&resource, &key, 10, policy.as_deref())).unwrap();
            prop_assert_eq!(token.verify(&key, 9), Ok(()));
            prop_assert!(token.covers(&resource));
            prop_assert_eq!(token.policy, policy);
        }
    }
}
