//! `keyType` of an authority: Azure has one, `ECC`; the others are ours (ADR 0036).

use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::DEFAULT_KEY;

/// Every `keyType`, as it is shown.
pub const KEY_TYPES: &[&str] = &[ECC, "ECC-P256", "ECC-P384", "ECC-P521", "RSA-3072"];
/// Azure's: P-384 (reference: certificates.md 1.2).
pub const ECC: &str = "ECC";

/// The `keyType` as it is shown, whatever its case was; `None` for what is none.
pub fn key_type(text: &str) -> Option<&'static str> {
    KEY_TYPES.iter().copied().find(|known| known.eq_ignore_ascii_case(text))
}

/// The kind of key that a `keyType` asks for; the default where there is none.
pub fn key_kind(text: Option<&str>) -> KeyKind {
    match text.and_then(key_type) {
        Some("ECC-P256") => KeyKind::P256,
        Some("ECC-P521") => KeyKind::P521,
        Some("RSA-3072") => KeyKind::Rsa(3072),
        _ => DEFAULT_KEY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_kind_and_azure_s_is_p_384() {
        let kinds: Vec<String> = KEY_TYPES.iter().map(|name| key_kind(Some(name)).to_string()).collect();
        assert_eq!(kinds, ["P-384", "P-256", "P-384", "P-521", "RSA-3072"]);
        assert_eq!(key_type("rsa-3072"), Some("RSA-3072"));
        assert_eq!((key_type("RSA"), key_kind(None)), (None, KeyKind::P384));
    }
}
