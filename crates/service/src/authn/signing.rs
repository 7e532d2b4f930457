//! One key that signs tokens: RSA-2048, RS256, as Entra's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::public_key::PublicKey;
use ferrohub_pki::signer::Signer;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, jwk::Jwk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest token that is looked at, bytes: ours.
const TOKEN_BYTES: usize = 16 * 1024;

/// What checks the signatures of one key.
pub(super) struct Verifier {
    id: String,
    decoding: DecodingKey,
    jwk: Value,
}

impl Verifier {
    /// Of a public key, SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// Internal, when it is no RSA key.
    pub(super) fn new(public_key_info: &[u8]) -> Result<Self> {
        let bad = |e: jsonwebtoken::errors::Error| Error::internal(format!("token signing key: {e}"));
        let key = PublicKey::from_spki(public_key_info)
            .map_err(|problem| Error::internal(format!("token signing key: {problem}")))?;
        let (modulus, exponent) =
            key.rsa_components().ok_or_else(|| Error::internal(format!("tokens signed with {}", key.kind())))?;
        let public = json!({
            "kty": "RSA",
            "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(modulus),
            "e": URL_SAFE_NO_PAD.encode(exponent),
        });
        let mut public: Jwk = serde_json::from_value(public).map_err(|e| Error::internal(format!("JWK: {e}")))?;
        let decoding = DecodingKey::from_jwk(&public).map_err(bad)?;
        let id = public.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).map_err(bad)?;
        public.common.key_id = Some(id.clone());
        let mut jwk = serde_json::to_value(&public).map_err(|e| Error::internal(format!("JWK: {e}")))?;
        jwk["use"] = "sig".into();
        Ok(Self { id, decoding, jwk })
    }

    /// Whether a token says that this key signed it.
    pub(super) fn is_named(&self, header: &Header) -> bool {
        header.kid.as_deref() == Some(&self.id)
    }

    /// The claims of a token whose RS256 signature is this key's. Times and audience are the caller's to check.
    ///
    /// # Errors
    /// `InvalidAuthenticationToken`.
    pub(super) fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<C> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        jsonwebtoken::decode::<C>(token, &self.decoding, &rules)
            .map(|data| data.claims)
            .map_err(|e| refused().with_context(e.to_string()))
    }

    /// The key as a JSON Web Key.
    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }
}

/// The header of a token, when it is short enough to be looked at.
///
/// # Errors
/// `InvalidAuthenticationToken`.
pub(super) fn header(token: &str) -> Result<Header> {
    if token.len() > TOKEN_BYTES {
        return Err(refused());
    }
    jsonwebtoken::decode_header(token).map_err(|e| refused().with_context(e.to_string()))
}

pub(super) fn refused() -> Error {
    Error::unauthenticated("The access token is invalid.").with_code("InvalidAuthenticationToken")
}

/// A signing key with its public half.
pub struct SigningKey {
    signer: Arc<dyn Signer>,
    verifier: Verifier,
}

impl SigningKey {
    /// Kind of the key, as Entra's.
    pub const KIND: KeyKind = KeyKind::Rsa(2048);

    /// Signs with `signer`, which may live anywhere.
    ///
    /// # Errors
    /// Internal, when it is no RSA key.
    pub fn new(signer: Arc<dyn Signer>) -> Result<Self> {
        let verifier = Verifier::new(signer.public_key_info_der())?;
        Ok(Self { signer, verifier })
    }

    /// A signed token with `claims` (JWS compact form, RFC 7515, 7.1).
    ///
    /// # Errors
    /// The signer's; internal, when the claims do not serialize.
    pub(super) async fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let part = |json: serde_json::Result<Vec<u8>>| {
            json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|e| Error::internal(format!("token: {e}")))
        };
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.verifier.id.clone());
        let mut token = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
        let signature = self.signer.sign(token.as_bytes()).await?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// What checks its signatures.
    pub(super) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Its public half, SubjectPublicKeyInfo in DER.
    pub(super) fn public_key_info(&self) -> &[u8] {
        self.signer.public_key_info_der()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_pki::signer::SoftwareSigner;

    fn key() -> SigningKey {
        SigningKey::new(Arc::new(SoftwareSigner::generate(SigningKey::KIND).unwrap())).unwrap()
    }

    #[tokio::test]
    async fn signs_and_refuses_foreign_or_unsigned_tokens() {
        let (key, other) = (key(), key());
        let token = key.sign(&json!({"a": 1})).await.unwrap();
        assert_eq!(key.verifier().verify::<Value>(&token).unwrap()["a"], 1);
        let header = header(&token).unwrap();
        assert!(key.verifier().is_named(&header) && !other.verifier().is_named(&header));
        assert_eq!(other.verifier().verify::<Value>(&token).unwrap_err().code, "InvalidAuthenticationToken");
        let mut parts: Vec<&str> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        parts[0] = &none;
        parts[2] = "";
        assert!(key.verifier().verify::<Value>(&parts.join(".")).is_err());
        assert!(key.verifier().jwk()["n"].as_str().unwrap().len() > 300);
        assert_eq!(key.verifier().jwk()["kid"], key.verifier().id);
        assert!(super::header(&"x".repeat(TOKEN_BYTES + 1)).is_err());
    }

    #[test]
    fn a_key_that_is_not_rsa_signs_no_tokens() {
        assert!(SigningKey::new(Arc::new(SoftwareSigner::generate(KeyKind::P256).unwrap())).is_err());
    }
}
