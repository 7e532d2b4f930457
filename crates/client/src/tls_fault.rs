//! Why TLS with a server failed, told so that whoever reads it knows what to change. The server is there: it answered.

use ferrohub_model::error::{Error, ErrorKind};
use rustls::CertificateError::{BadSignature, NotValidForName, NotValidForNameContext, UnknownIssuer};

/// Code of the error for a server whose certificate is not from a CA that the client trusts.
pub const UNTRUSTED: &str = "UntrustedServer";
/// Code of the error for a server whose certificate is for other names.
pub const MISNAMED: &str = "MisnamedServer";

/// The failure of TLS with the server called `name`, dialled at `address`.
pub(crate) fn told(error: &std::io::Error, name: &str, address: &str) -> Error {
    let certificate = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(fault)) => Some(fault),
        _ => None,
    };
    match certificate {
        // The signature is bad where a CA of the same name issued it, such as that of a data folder made anew.
        Some(UnknownIssuer | BadSignature) => Error::new(
            ErrorKind::Invalid,
            UNTRUSTED,
            format!(
                "The certificate of {name} is not from a CA in the CA file that is used here. Use the ca.pem of that server's data folder."
            ),
        ),
        Some(NotValidForName | NotValidForNameContext { .. }) => Error::new(
            ErrorKind::Invalid,
            MISNAMED,
            format!(
                "The server at {address} has no certificate for {name}{}. Call it by a name of its domain, or start it with the domain that is meant.",
                names(certificate)
            ),
        ),
        _ => Error::unavailable(format!("TLS with {name} at {address} failed: {error}."), 1),
    }
}

/// For which names the certificate is, as a clause.
fn names(fault: Option<&rustls::CertificateError>) -> String {
    match fault {
        Some(NotValidForNameContext { presented, .. }) if !presented.is_empty() => {
            format!(" (what it has is for {})", presented.join(", "))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_answers_is_not_told_to_be_missing() {
        let told_of = |fault: rustls::CertificateError| {
            let error = std::io::Error::other(rustls::Error::InvalidCertificate(fault));
            told(&error, "hub.example", "192.0.2.7:8443")
        };
        assert_eq!((told_of(UnknownIssuer).code, told_of(BadSignature).code), (UNTRUSTED, UNTRUSTED));
        let expected = rustls_pki_types::ServerName::try_from("hub.example").unwrap();
        let misnamed = told_of(NotValidForNameContext { expected, presented: vec!["localhost".into()] });
        assert_eq!(misnamed.code, MISNAMED);
        assert!(
            misnamed.message.contains("no certificate for hub.example (what it has is for localhost)"),
            "{misnamed}"
        );
        let other = told_of(rustls::CertificateError::Expired);
        assert!(other.message.starts_with("TLS with hub.example at 192.0.2.7:8443 failed: "), "{other}");
    }
}
