//! Texts: comparing without regard to case, words in a text, cutting and replacing. ASCII is the common case and quick;
//! anything else goes by Unicode's lower case.

use super::dynamics::{Room, array};
use super::functions::{made, whole};
use super::value::{TEXT_BYTES, Value};
use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

/// Largest compiled pattern, bytes: ours.
const PATTERN_BYTES: usize = 256 * 1024;
/// Longest text of a pattern, bytes: ours.
const PATTERN_TEXT_BYTES: usize = 8 * 1024;
/// Longest text that a pattern is looked for in, bytes: ours. A search cannot be stopped, and takes at worst as many steps as the
/// text has bytes for each state of the pattern.
pub(crate) const SEARCHED_BYTES: usize = 64 * 1024;
/// Longest text that is searched as it is, without regard to case: ours. Others are made lower case first, which takes memory, but
/// then no search takes more steps than text and part are long.
const SHORT: usize = 256;

pub(crate) fn same(one: &str, two: &str) -> bool {
    if one.is_ascii() && two.is_ascii() {
        return one.eq_ignore_ascii_case(two);
    }
    one.to_lowercase() == two.to_lowercase()
}

pub(crate) fn starts(text: &str, with: &str) -> bool {
    if text.is_ascii() && with.is_ascii() {
        return text.len() >= with.len() && text.as_bytes()[..with.len()].eq_ignore_ascii_case(with.as_bytes());
    }
    text.to_lowercase().starts_with(&with.to_lowercase())
}

pub(crate) fn ends(text: &str, with: &str) -> bool {
    if text.is_ascii() && with.is_ascii() {
        let from = text.len().checked_sub(with.len());
        return from.is_some_and(|from| text.as_bytes()[from..].eq_ignore_ascii_case(with.as_bytes()));
    }
    text.to_lowercase().ends_with(&with.to_lowercase())
}

pub(crate) fn contains(text: &str, part: &str) -> bool {
    if text.len() <= SHORT && text.is_ascii() && part.is_ascii() {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        return part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    }
    text.to_lowercase().contains(&part.to_lowercase())
}

type Has = fn(&str, &str) -> bool;

pub(crate) const HAS: Has = |text, word| words(&text.to_lowercase(), &word.to_lowercase(), (true, true));
pub(crate) const HAS_CS: Has = |text, word| words(text, word, (true, true));
pub(crate) const HAS_PREFIX: Has = |text, word| words(&text.to_lowercase(), &word.to_lowercase(), (true, false));
pub(crate) const HAS_PREFIX_CS: Has = |text, word| words(text, word, (true, false));
pub(crate) const HAS_SUFFIX: Has = |text, word| words(&text.to_lowercase(), &word.to_lowercase(), (false, true));
pub(crate) const HAS_SUFFIX_CS: Has = |text, word| words(text, word, (false, true));

/// Whether some of the words, or all of them where `every`, stand in the text; nothing once it is not to go on.
pub(crate) fn has_words<'s>(text: &str, words: &[String], every: bool, goes_on: &dyn Fn() -> bool) -> Value<'s> {
    let text = text.to_lowercase();
    for word in words {
        if !goes_on() {
            return Value::Null;
        }
        if self::words(&text, &word.to_lowercase(), (true, true)) != every {
            return Value::Bool(!every);
        }
    }
    Value::Bool(every)
}

/// Whether `word` stands in `text` with a border of words at its beginning, at its end.
fn words(text: &str, word: &str, (begins, ends): (bool, bool)) -> bool {
    if word.is_empty() {
        return true;
    }
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let before = letter(text[..at].chars().next_back());
        let behind = letter(text[at + word.len()..].chars().next());
        (!begins || !before) && (!ends || !behind)
    })
}

pub(crate) fn split<'s>(v: &[Value<'s>]) -> Value<'s> {
    let (text, by) = (v[0].to_text(), v[1].to_text());
    let mut parts: Box<dyn Iterator<Item = &str>> =
        if by.is_empty() { Box::new(std::iter::once(&*text)) } else { Box::new(text.split(&*by)) };
    match v.get(2) {
        Some(number) => {
            let part = number.as_long().and_then(|number| parts.nth(usize::try_from(number).ok()?));
            array(part.map(Json::from).into_iter().collect())
        }
        None => {
            let mut room = Room::default();
            parts
                .map(|part| room.for_text(part).then(|| Json::from(part)))
                .collect::<Option<_>>()
                .map_or(Value::Null, array)
        }
    }
}

pub(crate) fn substring<'s>(v: &[Value<'s>]) -> Value<'s> {
    let text = v[0].to_text();
    let Some(start) = v[1].as_long() else { return Value::Null };
    let length = v.get(2).map_or(Some(i64::MAX), Value::as_long).unwrap_or(0);
    let all = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    // A negative start counts from the end.
    let start = if start < 0 { (all + start).max(0) } else { start };
    let (start, length) = (usize::try_from(start).unwrap_or(0), usize::try_from(length.max(0)).unwrap_or(usize::MAX));
    made(text.chars().skip(start).take(length).collect())
}

/// The text with every `old` replaced; longer than any text may be where that would be too long.
pub(crate) fn replaced(text: &str, old: &str, new: &str) -> String {
    if old.is_empty() {
        return text.to_owned();
    }
    let mut made = String::with_capacity(text.len());
    let mut from = 0;
    for (at, part) in text.match_indices(old) {
        made.push_str(&text[from..at]);
        made.push_str(new);
        from = at + part.len();
        if made.len() > TEXT_BYTES {
            return made;
        }
    }
    made.push_str(&text[from..]);
    made
}

/// The text with every match of a pattern replaced; `None` where it grows too long, or is not to go on. A text may have as many
/// matches as bytes, each of which searches all that is left.
pub(crate) fn replaced_matches(pattern: &Regex, text: &str, with: &str, goes_on: &dyn Fn() -> bool) -> Option<String> {
    let mut made = String::with_capacity(text.len());
    let mut from = 0;
    for found in pattern.captures_iter(text) {
        let whole = found.get(0)?;
        made.push_str(&text[from..whole.start()]);
        found.expand(with, &mut made);
        from = whole.end();
        if made.len() > TEXT_BYTES || !goes_on() {
            return None;
        }
    }
    made.push_str(&text[from..]);
    Some(made)
}

pub(crate) fn index_of<'s>(text: &str, part: &str) -> Value<'s> {
    text.find(part).map_or(Value::Long(-1), |at| whole(text[..at].chars().count()))
}

pub(crate) fn count_of<'s>(text: &str, part: &str) -> Value<'s> {
    if part.is_empty() { Value::Long(0) } else { whole(text.matches(part).count()) }
}

/// The pattern of what `trim()` leaves of a text, in its first group; `trim_start()` and `trim_end()` trim one end only.
pub(crate) fn trimming(pattern: &str, (front, back): (bool, bool)) -> Option<Regex> {
    let times = |wanted: bool| if wanted { "*" } else { "{0}" };
    compile(&format!("^(?:{pattern}){}(?s:(?P<kept>.*?))(?:{pattern}){}$", times(front), times(back)))
}

/// Name of the group of [`trimming`]; the pattern given may have groups of its own.
pub(crate) const KEPT: &str = "kept";

/// A pattern; `None` where it is none, or too large.
pub(crate) fn compile(pattern: &str) -> Option<Regex> {
    if pattern.len() > PATTERN_TEXT_BYTES {
        return None;
    }
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).dfa_size_limit(4 * PATTERN_BYTES).build().ok()
}
