//! Questions to logs: tables whose keys are UUIDs of version 7, so that a span of time is a range of keys. A question is Azure
//! Monitor's `$filter`: a span of time, and what rows must have, all of it joined by `and` ("No other syntax is allowed").

use crate::platform::Platform;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::FILTER_BYTES;
use ferrohub_model::random::Random;
use ferrohub_store::{Pages, Row, Table};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde_json::Value;
use uuid::Uuid;

/// The member that every question names.
const TIME: &str = "eventTimestamp";
/// Rows of one page: ours.
const PAGE: usize = 200;
/// Rows read at once: ours.
const STEP: usize = 500;
/// Rows looked at for one page at most, so that a page of few matches stays cheap: ours.
const LOOKED_AT: usize = 10_000;

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter {
    /// From when on.
    from: Timestamp,
    /// Up to when; none is now.
    until: Option<Timestamp>,
    /// What rows must have, in lower case.
    pub(crate) terms: Vec<(&'static str, String)>,
}

impl LogFilter {
    /// Parses a `$filter` over the members `fields`.
    ///
    /// # Errors
    /// `BadRequest` saying what is missing or not understood.
    pub(crate) fn parse(text: Option<&str>, fields: &'static [&'static str]) -> Result<Self> {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| {
            refused("it is missing, and it must say at least \"eventTimestamp ge '2026-01-31T00:00:00Z'\"")
        })?;
        if text.len() > FILTER_BYTES {
            return Err(refused(&format!("it has more than {FILTER_BYTES} bytes")));
        }
        let (mut from, mut until, mut terms) = (None, None, Vec::new());
        let words = words(text)?;
        for (at, term) in words.chunks(4).enumerate() {
            let [field, relation, value] = match term {
                [field, relation, value] if words.len() == at * 4 + 3 => [field, relation, value],
                [field, relation, value, and] if and.is("and") && words.len() > at * 4 + 4 => [field, relation, value],
                _ => return Err(refused("it is not a row of conditions \"member relation 'value'\" joined by 'and'")),
            };
            if field.is(TIME) {
                let at = moment(&value.0)?;
                match relation.0.to_ascii_lowercase().as_str() {
                    "ge" | "gt" => from = Some(from.map_or(at, |known: Timestamp| known.max(at))),
                    "le" | "lt" => until = Some(until.map_or(at, |known: Timestamp| known.min(at))),
                    other => return Err(refused(&format!("{TIME} has no '{}'; it has ge and le", shown(other)))),
                }
                continue;
            }
            let known = fields.iter().find(|known| field.is(known)).ok_or_else(|| {
                refused(&format!("there is no '{}'; there are {TIME}, {}", shown(&field.0), fields.join(", ")))
            })?;
            if !relation.is("eq") {
                return Err(refused(&format!("{known} has no '{}'; it has eq", shown(&relation.0))));
            }
            terms.push((*known, value.0.to_lowercase()));
        }
        let from = from.ok_or_else(|| refused("it does not say from when on: \"eventTimestamp ge '..'\""))?;
        Ok(Self { from, until, terms })
    }

    /// Whether a row of this time (RFC 3339) is wanted.
    pub(crate) fn covers(&self, time: &str) -> bool {
        let inside = |at: Timestamp| at >= self.from && self.until.is_none_or(|until| at <= until);
        time.parse().is_ok_and(inside)
    }
}

/// A page of a log, newest first, after the row with the key `after`: what `shown` makes of the rows that it wants, and the
/// key after which the next page starts.
///
/// # Errors
/// When the store cannot be read, or a row.
pub(crate) async fn newest(
    platform: &Platform,
    table: &'static Table,
    filter: &LogFilter,
    after: Option<String>,
    mut shown: impl FnMut(&Row) -> Result<Option<Value>> + Send,
) -> Result<(Vec<Value>, Option<String>)> {
    let newest = || filter.until.unwrap_or_else(|| platform.now()).as_millisecond().saturating_add(1);
    let (mut after, first) = (after.unwrap_or_else(|| key_at(newest())), key_at(filter.from.as_millisecond()));
    let (mut value, mut looked_at) = (Vec::new(), 0);
    let mut pages = Pages::last(platform.store.as_ref(), table, "", STEP).following(Some(after.clone()));
    while looked_at < LOOKED_AT {
        let Some(rows) = pages.next().await? else { return Ok((value, None)) };
        for row in rows {
            if row.key < first {
                return Ok((value, None));
            }
            after.clone_from(&row.key);
            looked_at += 1;
            value.extend(shown(&row)?);
            if value.len() == PAGE {
                return Ok((value, Some(after)));
            }
        }
    }
    Ok((value, Some(after)))
}

/// The key of a row of this time (RFC 3339): rows of a log lie in the order of their events, whenever they are written.
pub(crate) fn key_of(platform: &Platform, time: &str) -> String {
    ordered(platform.random.as_ref(), time.parse().unwrap_or_else(|_| platform.now())).to_string()
}

/// A UUID of version 7 whose random bits begin with the tenths of a microsecond within the millisecond (RFC 9562, 6.2, method 3).
fn ordered(random: &dyn Random, time: Timestamp) -> Uuid {
    let id = random.uuid_v7(u64::try_from(time.as_millisecond()).unwrap_or(0)).as_u128();
    let ticks = u128::from(time.subsec_nanosecond().unsigned_abs() % 1_000_000 / 100);
    // 14 bits: 12 between version and variant, and two behind the variant.
    let places = (0xfff << 64) | (0b11 << 60);
    Uuid::from_u128((id & !places) | ((ticks >> 2) << 64) | ((ticks & 0b11) << 60))
}

/// The lowest key of a row whose event was in this millisecond of Unix time, or later (RFC 9562, 5.7).
fn key_at(ms: i64) -> String {
    let ms = u64::try_from(ms).unwrap_or(0).min((1 << 48) - 1);
    format!("{:08x}-{:04x}", ms >> 16, ms & 0xffff)
}

/// A word, or a text in quotes.
struct Word(String);

impl Word {
    fn is(&self, word: &str) -> bool {
        self.0.eq_ignore_ascii_case(word)
    }
}

fn words(text: &str) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted_text(quoted).ok_or_else(|| refused("a text has no closing quote"))?,
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        words.push(Word(word));
        rest = after.trim_start();
    }
    Ok(words)
}

/// A text up to its closing quote, and what follows; a doubled quote is one.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let (mut found, mut rest) = (String::new(), text);
    loop {
        let end = rest.find('\'')?;
        found.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(more) => {
                found.push('\'');
                rest = more;
            }
            None => return Some((found, rest)),
        }
    }
}

/// A time, with or without a zone; `az` sends none and means UTC.
fn moment(text: &str) -> Result<Timestamp> {
    let plain = || text.parse::<DateTime>().ok().and_then(|civil| Offset::UTC.to_timestamp(civil).ok());
    text.parse()
        .ok()
        .or_else(plain)
        .ok_or_else(|| refused(&format!("'{}' is no time such as 2026-01-31T12:00:00Z", shown(text))))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("The $filter of the log is not served: {why}.")).with_target("$filter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::random::SeededRandom;

    const FIELDS: &[&str] = &["resourceGroupName", "status", "caller", "eventChannels", "levels"];

    fn why(text: &str) -> String {
        LogFilter::parse(Some(text), FIELDS).expect_err(text).message
    }

    #[test]
    fn what_clients_send_is_understood() {
        let cli = "eventTimestamp ge 2026-11-28T18:45:00.123456 and eventTimestamp le 2026-11-29T00:45:00 and resourceGroupName eq 'It''s' and status eq 'Failed'";
        let filter = LogFilter::parse(Some(cli), FIELDS).unwrap();
        assert_eq!(filter.from, "2026-11-28T18:45:00.123456Z".parse().unwrap());
        assert_eq!(filter.until, Some("2026-11-29T00:45:00Z".parse().unwrap()));
        assert_eq!(filter.terms, [("resourceGroupName", "it's".to_owned()), ("status", "failed".to_owned())]);
        let portal = "EVENTTIMESTAMP GE '2026-11-28T18:45:00.1234567Z' AND eventTimestamp LE '2026-11-28T20:00:00+01:00' and eventChannels eq 'Admin, Operation' and levels eq 'Critical,Error'";
        let filter = LogFilter::parse(Some(portal), FIELDS).unwrap();
        assert_eq!(filter.until, Some("2026-11-28T19:00:00Z".parse().unwrap()));
        assert_eq!(filter.terms.len(), 2);
        assert!(filter.covers("2026-11-28T19:00:00Z") && !filter.covers("2026-11-28T19:00:00.1Z"));
    }

    #[test]
    fn keys_lie_in_the_order_of_events_to_the_tenth_of_a_microsecond() {
        let random = SeededRandom::new(7);
        let start: Timestamp = "2026-11-29T07:26:49.516Z".parse().unwrap();
        let at = |tick: i64| ordered(&random, start + jiff::SignedDuration::from_nanos(100 * tick));
        let keys: Vec<Uuid> = (0..20_001).map(at).collect();
        assert!(keys.is_sorted() && keys.iter().all(|key| key.get_version_num() == 7));
        assert!(keys.iter().all(|key| key.get_variant() == uuid::Variant::RFC4122));
        assert!(key_at(start.as_millisecond()) <= keys[0].to_string());
        assert!(keys[9_999].to_string() < key_at(start.as_millisecond() + 1));
        assert_ne!(at(5), at(5));
    }

    #[test]
    fn what_is_not_is_refused_with_its_reason() {
        let begin = "eventTimestamp ge '2026-01-01'";
        for (text, reason) in [
            ("caller eq 'me'".to_owned(), "from when on"),
            ("eventTimestamp ge yesterday".to_owned(), "yesterday"),
            ("eventTimestamp eq '2026-01-01'".to_owned(), "ge and le"),
            (format!("{begin} or caller eq 'me'"), "joined by 'and'"),
            (format!("{begin} and"), "joined by 'and'"),
            (format!("{begin} and caller"), "joined by 'and'"),
            (format!("{begin} and colour eq 'red'"), "'colour'"),
            (format!("{begin} and caller ne 'me'"), "'ne'"),
            (format!("{begin} and caller eq 'me"), "closing quote"),
            (format!("{begin} and (caller eq 'me')"), "joined by 'and'"),
            (format!("{begin} and caller eq '{}'", "x".repeat(FILTER_BYTES)), "bytes"),
        ] {
            assert!(why(&text).contains(reason), "{text}: {}", why(&text));
        }
        assert!(LogFilter::parse(None, FIELDS).unwrap_err().message.contains("missing"));
    }
}
