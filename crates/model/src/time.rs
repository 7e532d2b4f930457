//! Timestamps as Azure writes them. The last moment that is counted stands for "no end", which certificates write as the end of
//! the year 9999 (RFC 5280, 4.1.2.5), and is written so.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// RFC 3339 in UTC with seven fractional digits, as ARM and IoT Hub write times: `2026-11-20T15:04:05.1234567Z`.
pub fn rfc3339(at: Timestamp) -> String {
    if at == Timestamp::MAX {
        return "9999-12-31T23:59:59.0000000Z".into();
    }
    let civil = Offset::UTC.to_datetime(at);
    let ticks = civil.subsec_nanosecond().unsigned_abs() / 100;
    written(civil, [Some('-'), Some('-'), Some('T'), Some(':'), Some(':')], Some(ticks))
}

/// RFC 3339 in UTC with nine fractional digits, as IoT Hub writes the times of certificate requests:
/// `2026-01-31T12:52:20.565000000Z`.
pub fn nanoseconds(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// ISO 8601's basic form in UTC, as ARM's routing ids have it: `20261120T150405Z`.
pub fn basic(at: Timestamp) -> String {
    written(Offset::UTC.to_datetime(at), [None, None, Some('T'), None, None], None)
}

/// Digit by digit: every answer and every batch of telemetry wants one, and a format string would be read anew each time.
fn written(civil: DateTime, marks: [Option<char>; 5], ticks: Option<u32>) -> String {
    let mut text = String::with_capacity(28);
    let mut put = |mark: Option<char>, number: u32, digits: u32| {
        text.extend(mark);
        for place in (0..digits).rev() {
            text.extend(char::from_digit(number / 10_u32.pow(place) % 10, 10));
        }
    };
    put(None, civil.year().unsigned_abs().into(), 4);
    let parts = [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()];
    for (mark, part) in marks.into_iter().zip(parts) {
        put(mark, part.unsigned_abs().into(), 2);
    }
    if let Some(ticks) = ticks {
        put(Some('.'), ticks, 7);
    }
    text.push('Z');
    text
}

/// RFC 1123 as IoT Hub writes certificate times: `Fri, 20 Nov 2026 15:04:05 GMT`.
pub fn rfc1123(at: Timestamp) -> String {
    if at == Timestamp::MAX {
        return "Fri, 31 Dec 9999 23:59:59 GMT".into();
    }
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What IoT Hub writes for "never": `0001-01-01T00:00:00Z`.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_digits() {
        let at: Timestamp = "2026-01-31T12:52:20.565Z".parse().unwrap();
        assert_eq!(nanoseconds(at), "2026-01-31T12:52:20.565000000Z");
    }

    #[test]
    fn seven_digits() {
        let at = Timestamp::new(1_000_000_000, 120_000_000).unwrap();
        assert_eq!(rfc3339(at), "2001-09-09T01:46:40.1200000Z");
        assert_eq!(basic(at), "20010909T014640Z");
        assert_eq!(rfc3339(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.0000000Z");
        let last = Timestamp::new(253_402_207_199, 999_999_999).unwrap();
        assert_eq!(rfc3339(last), "9999-12-30T21:59:59.9999999Z");
        assert_eq!(rfc1123(at), "Sun, 09 Sep 2001 01:46:40 GMT");
        assert_eq!(rfc1123(Timestamp::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(rfc3339(Timestamp::MAX), "9999-12-31T23:59:59.0000000Z");
    }
}
