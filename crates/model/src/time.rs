//! Timestamps as Azure writes them.

use jiff::Timestamp;

/// RFC 3339 in UTC with seven fractional digits, as ARM and IoT Hub write times: `2026-11-20T15:04:05.1234567Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let civil = jiff::tz::Offset::UTC.to_datetime(at);
    let ticks = civil.subsec_nanosecond().unsigned_abs() / 100;
    let mut text = String::with_capacity(28);
    // Digit by digit: the log and every answer of the hubs want one, and a format string is read anew each time.
    let mut put = |mark: Option<char>, number: u32, digits: u32| {
        text.extend(mark);
        for place in (0..digits).rev() {
            text.extend(char::from_digit(number / 10_u32.pow(place) % 10, 10));
        }
    };
    put(None, u32::from(civil.year().unsigned_abs()), 4);
    put(Some('-'), civil.month().unsigned_abs().into(), 2);
    put(Some('-'), civil.day().unsigned_abs().into(), 2);
    put(Some('T'), civil.hour().unsigned_abs().into(), 2);
    put(Some(':'), civil.minute().unsigned_abs().into(), 2);
    put(Some(':'), civil.second().unsigned_abs().into(), 2);
    put(Some('.'), ticks, 7);
    text.push('Z');
    text
}

/// RFC 1123 as IoT Hub writes certificate times: `Fri, 20 Nov 2026 15:04:05 GMT`.
pub fn rfc1123(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What IoT Hub writes for "never": `0001-01-01T00:00:00Z`.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_digits() {
        let at = Timestamp::new(1_000_000_000, 120_000_000).unwrap();
        assert_eq!(rfc3339(at), "2001-09-09T01:46:40.1200000Z");
        assert_eq!(rfc3339(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.0000000Z");
        let last = Timestamp::new(253_402_207_199, 999_999_999).unwrap();
        assert_eq!(rfc3339(last), "9999-12-30T21:59:59.9999999Z");
        assert_eq!(rfc1123(at), "Sun, 09 Sep 2001 01:46:40 GMT");
    }
}
