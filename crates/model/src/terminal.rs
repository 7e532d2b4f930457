//! Text that somebody else chose, made fit to stand on a terminal, in a log line or in a document. Devices choose names, twins
//! and messages; whatever a terminal or a reader of lines would obey is written as an escape.

use std::fmt::Write;

/// Whether a character does something instead of being shown: a control, the end of a line or a paragraph, a mark that turns the
/// direction of writing.
pub fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with each character that [`acts`] as Rust writes it: `\n`, `\u{1b}`.
pub fn escaped(text: &str) -> String {
    escaped_except(text, &[])
}

/// The same, with those of `kept` as they are.
pub fn escaped_except(text: &str, kept: &[char]) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut all, c| {
        match acts(c) && !kept.contains(&c) {
            true => all.extend(c.escape_default()),
            false => all.push(c),
        }
        all
    })
}

/// A JSON document whose texts hold each character that [`acts`] as JSON escapes it; `layout` are those that the document
/// itself has between its values. It reads as the same document.
pub fn escaped_json(document: &str, layout: &[char]) -> String {
    document.chars().fold(String::with_capacity(document.len()), |mut all, c| {
        if acts(c) && !layout.contains(&c) {
            // All such characters have four digits. Writing to a text cannot fail.
            let _ = write!(all, "\\u{:04x}", u32::from(c));
        } else {
            all.push(c);
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[31m\n\u{9b}2J\u{202e}\u{61c}é";

    #[test]
    fn what_acts_is_escaped_and_what_is_shown_stays() {
        assert_eq!(escaped(EVIL), "a\\u{1b}[31m\\n\\u{9b}2J\\u{202e}\\u{61c}é");
        assert_eq!(escaped_except("a\nb\u{7}", &['\n']), "a\nb\\u{7}");
        assert_eq!(escaped("Gerät №1 日本"), "Gerät №1 日本");
    }

    #[test]
    fn a_json_document_reads_as_before() {
        let document = "{\n  \"a\": \"\u{9b}2J\u{202e}é\"\n}";
        assert_eq!(escaped_json(document, &['\n']), "{\n  \"a\": \"\\u009b2J\\u202eé\"\n}");
        assert_eq!(escaped_json("\u{2066}", &[]), "\\u2066");
    }
}
