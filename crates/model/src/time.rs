//! Timestamps as Azure writes them.

use jiff::Timestamp;

/// RFC 3339 in UTC with seven fractional digits, as ARM and IoT Hub write times: `2026-11-20T15:04:05.1234567Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let seconds = at.strftime("%Y-%m-%dT%H:%M:%S");
    let ticks = at.subsec_nanosecond().unsigned_abs() / 100;
    format!("{seconds}.{ticks:07}Z")
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
        assert_eq!(rfc1123(at), "Sun, 09 Sep 2001 01:46:40 GMT");
    }
}
