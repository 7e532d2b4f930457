//! Moments and spans of time, in ticks of 100 ns: their texts, and where a day, a week, a month and a year begin.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Ticks of a second.
pub(crate) const SECOND: i64 = 10_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// Most days of a span that is written `d.hh:mm:ss` (Kusto: some 10,675,199).
const MOST_DAYS: u32 = 10_000_000;
/// Longest run of one letter in the format of a moment (Kusto: 7, of a fraction).
const RUN: usize = 7;

/// Ticks since the Unix epoch of Unix seconds and nanoseconds.
pub(crate) fn from_unix((seconds, nanoseconds): (i64, u32)) -> i64 {
    seconds.saturating_mul(SECOND).saturating_add(i64::from(nanoseconds / 100))
}

fn timestamp(ticks: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(ticks) * 100).ok()
}

fn ticks_of(moment: Timestamp) -> Option<i64> {
    i64::try_from(moment.as_nanosecond() / 100).ok()
}

/// The moment in UTC by the calendar.
pub(crate) fn civil(ticks: i64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(timestamp(ticks)?))
}

pub(crate) fn from_civil(date: DateTime) -> Option<i64> {
    ticks_of(TimeZone::UTC.to_timestamp(date).ok()?)
}

/// `2026-01-31T10:20:30.1234567Z`, as Kusto writes a moment.
pub(crate) fn datetime_text(ticks: i64) -> String {
    match civil(ticks) {
        Some(at) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.subsec_nanosecond() / 100
        ),
        None => String::new(),
    }
}

/// `[-][d.]hh:mm:ss[.fffffff]`, as Kusto writes a span.
pub(crate) fn timespan_text(ticks: i64) -> String {
    let (sign, all) = (if ticks < 0 { "-" } else { "" }, ticks.unsigned_abs());
    let part = |unit: i64| all / unit.unsigned_abs();
    let days = if part(DAY) > 0 { format!("{}.", part(DAY)) } else { String::new() };
    let rest = all % SECOND.unsigned_abs();
    let fraction = if rest > 0 { format!(".{rest:07}") } else { String::new() };
    format!("{sign}{days}{:02}:{:02}:{:02}{fraction}", part(HOUR) % 24, part(MINUTE) % 60, part(SECOND) % 60)
}

/// A moment: RFC 3339, a date, a date and a time without a zone (UTC), `null` apart.
pub(crate) fn parse_datetime(text: &str) -> Option<i64> {
    let text = text.trim();
    // The common case first, by hand: a million of them are read for one query.
    if let Some(ticks) = plain(text.as_bytes()) {
        return Some(ticks);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return ticks_of(moment);
    }
    if let Ok(at) = text.trim_end_matches('Z').parse::<DateTime>() {
        return from_civil(at);
    }
    from_civil(text.parse::<Date>().ok()?.to_datetime(Time::midnight()))
}

/// `2026-01-31T10:20:30[.fffffff]Z`, and nothing else.
fn plain(text: &[u8]) -> Option<i64> {
    let number = |at: usize, digits: usize| {
        text.get(at..at + digits)?
            .iter()
            .try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let marked = marks.iter().all(|(at, mark)| text.get(*at) == Some(mark)) && text.last() == Some(&b'Z');
    if !marked || !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fraction = match text.get(19..)? {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => {
            let mut ticks = 0;
            for at in 0..7 {
                let digit = digits.get(at).copied().unwrap_or(b'0');
                ticks = ticks * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
            }
            ticks
        }
        _ => return None,
    };
    if day > longest {
        return None;
    }
    // Days since the epoch, by Howard Hinnant's `days_from_civil`.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + fraction)
}

/// A span: `1d`, `1.02:03:04.5`, `00:05`.
pub(crate) fn parse_timespan(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.trim_start_matches('-');
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let sign = if text.len() == digits.len() { 1 } else { -1 };
    if let Some(unit) = unit(&digits[end..]) {
        return span(digits[..end].parse().ok()?, unit).map(|ticks| sign * ticks);
    }
    // What has a sign of its own behind the first is no number here.
    let whole = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= MOST_DAYS).map(i64::from);
    let (days, clock) = match (digits.split_once('.'), digits.find(':')) {
        (_, None) => (whole(digits)?, "0:0"),
        (Some((days, clock)), Some(colon)) if days.len() < colon => (whole(days)?, clock),
        _ => (0, digits),
    };
    let mut parts = clock.split(':');
    let hours = whole(parts.next()?)?;
    let minutes = whole(parts.next()?)?;
    let seconds: f64 = parts.next().unwrap_or("0").parse().ok()?;
    if parts.next().is_some() || hours > 23 || minutes > 59 || !(0.0..60.0).contains(&seconds) {
        return None;
    }
    let ticks = days * DAY + hours * HOUR + minutes * MINUTE + span(seconds, SECOND)?;
    Some(sign * ticks)
}

/// So many of a unit.
pub(crate) fn span(count: f64, unit: i64) -> Option<i64> {
    let ticks = (count * unit as f64).round();
    (ticks.abs() < 9.2e18).then_some(ticks as i64)
}

/// Ticks of a unit by its word.
pub(crate) fn unit(word: &str) -> Option<i64> {
    Some(match word {
        "d" | "day" | "days" => DAY,
        "h" | "hr" | "hour" | "hours" => HOUR,
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "s" | "sec" | "second" | "seconds" => SECOND,
        "ms" | "milli" | "millisecond" | "milliseconds" => SECOND / 1000,
        "micro" | "microsecond" | "microseconds" => 10,
        "tick" | "ticks" => 1,
        _ => return None,
    })
}

/// The beginning of the day, week (Sunday), month or year in which the moment lies.
pub(crate) fn start_of(ticks: i64, unit: &str) -> Option<i64> {
    let date = civil(ticks)?.date();
    let first = match unit {
        "day" => date,
        "week" => {
            date.checked_sub(SignedDuration::from_hours(24 * i64::from(date.weekday().to_sunday_zero_offset()))).ok()?
        }
        "month" => date.first_of_month(),
        _ => date.first_of_year(),
    };
    from_civil(first.to_datetime(Time::midnight()))
}

/// How many borders of a unit lie between two moments, as `datetime_diff()` counts them; `None` for a unit that is none.
pub(crate) fn difference(unit: &str, one: i64, two: i64) -> Option<i64> {
    let (a, b) = (civil(one)?, civil(two)?);
    let months = |at: &DateTime| i64::from(at.year()) * 12 + i64::from(at.month()) - 1;
    let borders = |unit: i64| one.div_euclid(unit) - two.div_euclid(unit);
    Some(match unit.to_ascii_lowercase().as_str() {
        "year" => i64::from(a.year()) - i64::from(b.year()),
        "quarter" => months(&a).div_euclid(3) - months(&b).div_euclid(3),
        "month" => months(&a) - months(&b),
        // 1970-01-01 was a Thursday; weeks begin on Sunday.
        "week" => (one + 4 * DAY).div_euclid(7 * DAY) - (two + 4 * DAY).div_euclid(7 * DAY),
        "day" => borders(DAY),
        "hour" => borders(HOUR),
        "minute" => borders(MINUTE),
        "second" => borders(SECOND),
        "millisecond" => borders(SECOND / 1000),
        "microsecond" => borders(10),
        "nanosecond" => one.checked_sub(two)?.checked_mul(100)?,
        _ => return None,
    })
}

/// The moment with so many units added; `None` for a unit that is none, or out of the calendar.
pub(crate) fn added(unit: &str, count: i64, ticks: i64) -> Option<i64> {
    let months = |count: i64| {
        let span = jiff::Span::new().try_months(count).ok()?;
        from_civil(civil(ticks)?.checked_add(span).ok()?)
    };
    let spans = |unit: i64| ticks.checked_add(unit.checked_mul(count)?);
    match unit.to_ascii_lowercase().as_str() {
        "year" => months(count.checked_mul(12)?),
        "quarter" => months(count.checked_mul(3)?),
        "month" => months(count),
        "week" => spans(7 * DAY),
        "day" => spans(DAY),
        "hour" => spans(HOUR),
        "minute" => spans(MINUTE),
        "second" => spans(SECOND),
        "millisecond" => spans(SECOND / 1000),
        "microsecond" => spans(10),
        _ => None,
    }
}

/// The moment by a format of Kusto's (`yyyy-MM-dd HH:mm:ss`): letters of the calendar stand for their part, all else for itself.
pub(crate) fn formatted(ticks: i64, format: &str) -> Option<String> {
    let at = civil(ticks)?;
    let mut made = String::new();
    let mut rest = format;
    while let Some(letter) = rest.chars().next() {
        let run = rest.chars().take_while(|c| *c == letter).count();
        if run > RUN && "yMdHhmsfFt".contains(letter) {
            return None;
        }
        let number = |value: i64, width: usize| format!("{value:0width$}");
        let piece = match letter {
            'y' if run <= 2 => number(i64::from(at.year()).rem_euclid(100), run),
            'y' => number(i64::from(at.year()), run),
            'M' => number(i64::from(at.month()), run),
            'd' => number(i64::from(at.day()), run),
            'H' => number(i64::from(at.hour()), run),
            'h' => number((i64::from(at.hour()) + 11) % 12 + 1, run),
            'm' => number(i64::from(at.minute()), run),
            's' => number(i64::from(at.second()), run),
            'f' | 'F' => format!("{:09}", at.subsec_nanosecond()).chars().take(run).collect(),
            't' => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            other => other.to_string().repeat(run),
        };
        made.push_str(&piece);
        rest = &rest[run * letter.len_utf8()..];
    }
    Some(made)
}
