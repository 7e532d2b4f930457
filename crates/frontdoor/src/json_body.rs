//! Reading a JSON document that a client sent, whatever it came with: HTTPS and MQTT alike.

use ferrohub_model::json_size;
use serde_json::Value;

/// UTF-8's byte-order mark. Clients of .NET and of editors on Windows put it in front (RFC 8259, section 8.1, lets a reader ignore it).
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The document without a byte-order mark in front of it.
pub(crate) fn unmarked(document: &[u8]) -> &[u8] {
    document.strip_prefix(MARK).unwrap_or(document)
}

/// Whether there is nothing in it.
pub(crate) fn is_blank(document: &[u8]) -> bool {
    unmarked(document).iter().all(u8::is_ascii_whitespace)
}

/// The value that a document holds.
///
/// # Errors
/// What is wrong, at which line and column, and in which member, as a half-sentence.
pub(crate) fn parse(document: &[u8]) -> Result<Value, String> {
    let document = unmarked(document);
    json_size::check(document)?;
    serde_json::from_slice(document).map_err(|error| match path_of_fault(document) {
        Some(path) => format!("{error}, in '{path}'"),
        None => error.to_string(),
    })
}

/// The member in which reading stops; `None` where that is the document itself. Only a document that is wrong is read this way.
fn path_of_fault(document: &[u8]) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_slice(document);
    let fault = serde_path_to_error::deserialize::<_, Value>(&mut reader).err()?;
    let path: String = fault.path().to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    Some(path).filter(|path| !matches!(path.as_str(), "" | "." | "?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::limits::JSON_VALUES;
    use serde_json::json;

    #[test]
    fn a_mark_in_front_is_no_part_of_the_document() {
        assert_eq!(parse(b"\xef\xbb\xbf {\"a\": 1}").unwrap(), json!({"a": 1}));
        assert_eq!(
            parse("{\"a\": \"\u{feff}\"}".as_bytes()).unwrap(),
            json!({"a": "\u{feff}"}),
            "elsewhere it is text"
        );
        assert!(parse(b"\xef\xbb\xbf\xef\xbb\xbf{}").is_err());
        for blank in [&b""[..], b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n", b" \t"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        assert!(!is_blank(b"\xef\xbb"));
    }

    #[test]
    fn too_many_values_are_refused_before_they_are_read() {
        let many = |each: &str, count: usize| format!("[{}]", vec![each; count].join(","));
        let text = format!("[\"{}\"]", "a,[{\\\",".repeat(JSON_VALUES));
        for (document, good) in [
            (many("0", JSON_VALUES - 1), true),
            (many("0", JSON_VALUES + 1), false),
            (many("{\"\":0}", JSON_VALUES / 2 + 1), false),
            (many("[]", JSON_VALUES / 2 + 1), false),
            // What stands in a text is no value.
            (text, true),
        ] {
            let read = parse(document.as_bytes());
            assert_eq!(read.is_ok(), good, "{:?}", read.err());
        }
        // Also where it is broken: the place of the fault is looked for by reading it once more.
        assert!(parse(&many("0", JSON_VALUES + 1).as_bytes()[1..]).unwrap_err().contains("100000 values"));
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let fault = parse(br#"{"properties": {"desired": {"rates": [1, 2, x]}}}"#).unwrap_err();
        assert!(fault.contains("line 1 column") && fault.contains("'properties.desired.rates[2]'"), "{fault}");
        let fault = parse(b"{").unwrap_err();
        assert!(fault.contains("line 1") && !fault.contains("in '"), "{fault}");
        assert!(parse(b"\xff\xfe{\x00}\x00").is_err());
    }
}
