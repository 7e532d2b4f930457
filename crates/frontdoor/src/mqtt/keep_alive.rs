//! How long a silent peer is kept.

use ferrohub_model::limits;
use std::time::Duration;

/// One and a half times the keep-alive of CONNECT, at most what IoT Hub honours; the same cap stands in for "off".
pub(super) fn allowed_silence(keep_alive_seconds: u16) -> Duration {
    let longest = Duration::from_secs(limits::MQTT_MAX_KEEP_ALIVE_SECONDS.into());
    match keep_alive_seconds {
        0 => longest,
        seconds => (Duration::from_secs(seconds.into()) * 3 / 2).min(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_as_long_again_with_a_cap() {
        assert_eq!(allowed_silence(60), Duration::from_secs(90));
        assert_eq!(allowed_silence(1), Duration::from_millis(1500));
        assert_eq!(allowed_silence(1178), Duration::from_secs(1767));
        assert_eq!(allowed_silence(u16::MAX), Duration::from_secs(1767));
        assert_eq!(allowed_silence(0), Duration::from_secs(1767));
    }
}
