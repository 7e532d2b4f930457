//! How large a JSON document becomes once it is read: each of its values takes many times the bytes that it is written with.

use crate::limits::JSON_VALUES;

/// Refuses a document that holds too many values, before it is read.
///
/// # Errors
/// A half-sentence that says so.
pub fn check(document: &[u8]) -> Result<(), String> {
    if values(document) > JSON_VALUES {
        return Err(format!("it has more than {JSON_VALUES} values"));
    }
    Ok(())
}

/// How many values a document has at most, members and elements together.
fn values(document: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (1, false, false);
    for byte in document {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b',' | b'[' | b'{') => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_texts_are_not_looked_into() {
        for (document, count) in [
            ("0", 1),
            ("[]", 2),
            ("[1,2,3]", 4),
            (r#"{"a":1,"b":[true,null]}"#, 5),
            (r#"{"a":"[,{\",[{"}"#, 2),
            (r#"["\\",1]"#, 3),
        ] {
            assert_eq!(values(document.as_bytes()), count, "{document}");
        }
    }
}
