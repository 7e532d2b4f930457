//! The key that signs tokens: RSA-2048, RS256, as Entra's.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrohub_model::error::{Error, Result};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Longest token that is looked at, bytes: ours.
const TOKEN_BYTES: usize = 16 * 1024;

/// A signing key with its public half.
pub struct SigningKey {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Value,
}

impl SigningKey {
    /// A new key as PKCS#8 DER.
    ///
    /// # Errors
    /// Internal, when the provider cannot make one.
    pub fn generate() -> Result<Zeroizing<Vec<u8>>> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::internal("RSA key generation failed"))?;
        let der: Pkcs8V1Der<'_> =
            AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| Error::internal("RSA key does not encode"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The key in `pkcs8`.
    ///
    /// # Errors
    /// Internal, when the bytes are no RSA key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self> {
        let bad = |e: jsonwebtoken::errors::Error| Error::internal(format!("token signing key: {e}"));
        let body = Zeroizing::new(STANDARD.encode(pkcs8));
        let pem =
            Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body.as_str()));
        let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(bad)?;
        let mut public = Jwk::from_encoding_key(&encoding, Algorithm::RS256).map_err(bad)?;
        let decoding = DecodingKey::from_jwk(&public).map_err(bad)?;
        let id = public.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).map_err(bad)?;
        public.common.key_id = Some(id.clone());
        let jwk = serde_json::to_value(&public).map_err(|e| Error::internal(format!("JWK: {e}")))?;
        Ok(Self { id, encoding, decoding, jwk })
    }

    /// A signed token with `claims`.
    ///
    /// # Errors
    /// Internal, when signing fails.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map_err(|e| Error::internal(format!("token signing: {e}")))
    }

    /// The claims of a token whose RS256 signature is ours. Times and audience are the caller's to check.
    ///
    /// # Errors
    /// `InvalidAuthenticationToken`.
    pub fn verify<C: DeserializeOwned>(&self, token: &str) -> Result<C> {
        let refused = || Error::unauthenticated("The access token is invalid.").with_code("InvalidAuthenticationToken");
        if token.len() > TOKEN_BYTES {
            return Err(refused());
        }
        let mut rules = Validation::new(Algorithm::RS256);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        jsonwebtoken::decode::<C>(token, &self.decoding, &rules)
            .map(|data| data.claims)
            .map_err(|e| refused().with_context(e.to_string()))
    }

    /// The JSON Web Key Set with the public half.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_refuses_foreign_or_unsigned_tokens() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let other = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let token = key.sign(&json!({"a": 1})).unwrap();
        assert_eq!(key.verify::<Value>(&token).unwrap()["a"], 1);
        assert_eq!(other.verify::<Value>(&token).unwrap_err().code, "InvalidAuthenticationToken");
        let mut parts: Vec<&str> = token.split('.').collect();
        let none = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        parts[0] = &none;
        parts[2] = "";
        assert!(key.verify::<Value>(&parts.join(".")).is_err());
        assert!(key.jwks()["keys"][0]["n"].as_str().unwrap().len() > 300);
    }
}
