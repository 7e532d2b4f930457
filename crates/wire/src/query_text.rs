//! `a=1&b=2` texts with percent-encoding, as topics, user names and SAS tokens carry them.

use ferrohub_model::error::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes everything but the unreserved characters; a space becomes `%20`.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Undoes percent-encoding; `+` stays, a `%` that starts no code stays.
///
/// # Errors
/// `Invalid`, naming `what`, if the result is not UTF-8.
pub(crate) fn decode(text: &str, what: &str) -> Result<String> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::invalid(format!("The {what} is not valid: its percent-encoding does not give UTF-8.")))?;
    Ok(decoded.into_owned())
}

/// The raw pairs of a query text; a bare key has no value, empty parts are skipped.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split('&').filter(|part| !part.is_empty()).map(|part| match part.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (part, None),
    })
}

/// The raw value of the first pair named `key`.
pub(crate) fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text).find(|(name, _)| *name == key).and_then(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_plus_signs() {
        assert_eq!(encode("a b+c/d~"), "a%20b%2Bc%2Fd~");
        assert_eq!(decode("a%20b+c%2fd%", "text").unwrap(), "a b+c/d%");
        assert!(decode("%ff", "text").is_err());
    }

    #[test]
    fn pairs_of_all_kinds() {
        let found: Vec<_> = pairs("a=1&&b&c=&d=x=y&").collect();
        assert_eq!(found, [("a", Some("1")), ("b", None), ("c", Some("")), ("d", Some("x=y"))]);
        assert_eq!(value_of("$rid=7&$version=3", "$version"), Some("3"));
        assert_eq!(value_of("$rid", "$rid"), None);
    }
}
