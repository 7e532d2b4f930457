//! Rules for strings, topic names and topic filters (standard, sections 1.5.3 and 4.7).

use super::MqttError;

/// Longest string or binary field: its length stands in two bytes.
pub(super) const MAX_FIELD_BYTES: usize = u16::MAX as usize;

/// Refuses U+0000 and over-long texts.
pub(super) fn check_string(text: &str) -> Result<(), MqttError> {
    if text.len() > MAX_FIELD_BYTES || text.bytes().any(|byte| byte == 0) {
        return Err(MqttError::BadString);
    }
    Ok(())
}

/// Refuses topic names that are empty or have wildcards.
pub(super) fn check_topic(topic: &str) -> Result<(), MqttError> {
    check_string(topic)?;
    if topic.is_empty() || topic.bytes().any(|byte| matches!(byte, b'+' | b'#')) {
        return Err(MqttError::BadTopic);
    }
    Ok(())
}

/// Refuses filters that are empty, or where `#` is not alone in the last level or `+` not alone in its level.
pub(super) fn check_filter(filter: &str) -> Result<(), MqttError> {
    check_string(filter)?;
    if filter.is_empty() {
        return Err(MqttError::BadFilter);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let misplaced = match level {
            "#" => levels.peek().is_some(),
            "+" => false,
            other => other.contains(['+', '#']),
        };
        if misplaced {
            return Err(MqttError::BadFilter);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for good in ["#", "+", "a/#", "+/b/+", "/", "a//b", "$iothub/twin/res/#"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["", "a#", "#/a", "a/#/b", "a+/b", "a/+b"] {
            assert_eq!(check_filter(bad), Err(MqttError::BadFilter), "{bad}");
        }
        assert_eq!(check_filter("a\0"), Err(MqttError::BadString));
    }

    #[test]
    fn topics() {
        assert_eq!(check_topic("$iothub/twin/GET/?$rid=1"), Ok(()));
        for bad in ["", "a/+", "#"] {
            assert_eq!(check_topic(bad), Err(MqttError::BadTopic), "{bad}");
        }
        assert_eq!(check_topic(&"x".repeat(65_536)), Err(MqttError::BadString));
    }
}
