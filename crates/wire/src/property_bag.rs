//! The property bag at the end of telemetry and cloud-to-device topics.

use std::fmt;

use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::MESSAGE_PROPERTIES;

use crate::query_text;

/// Acknowledgement wish of a cloud-to-device message: a system property without the `$.` mark.
const ACK: &str = "iothub-ack";

/// Properties of one message, in the order in which they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyBag {
    /// Keys that start with `$.` (kept, for instance `$.mid`) and `iothub-ack`, decoded; a bare key has an empty value.
    pub system: Vec<(String, String)>,
    /// All other keys, decoded; `None` is a bare key, which stands for null.
    pub application: Vec<(String, Option<String>)>,
}

impl PropertyBag {
    /// Parses `k=v&k2=v2`: both halves percent-decoded, keys before they are looked at (the C SDK
    /// sends `%24.mid`). One trailing `/` and empty parts are skipped.
    ///
    /// # Errors
    /// `Invalid` for a pair without a key or text that is not UTF-8, `TooLarge` for too many properties.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let mut bag = Self::default();
        for (count, (key, value)) in query_text::pairs(text).enumerate() {
            if count == MESSAGE_PROPERTIES {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    "MessageTooLarge",
                    format!("The message has more than {MESSAGE_PROPERTIES} properties; send fewer."),
                ));
            }
            let key = query_text::decode(key, "property name")?;
            if key.is_empty() {
                return Err(Error::invalid(
                    "The topic's property bag has a property without a name; write name=value.",
                ));
            }
            let value = match value {
                Some(value) => Some(query_text::decode(value, "property value")?),
                None => None,
            };
            bag.push(key, value);
        }
        Ok(bag)
    }

    /// Adds a property to the list that its key belongs to.
    pub fn push(&mut self, key: String, value: Option<String>) {
        if key.starts_with("$.") || key == ACK {
            self.system.push((key, value.unwrap_or_default()));
        } else {
            self.application.push((key, value));
        }
    }

    /// The first system property of that key, such as `$.ct`.
    pub fn system(&self, key: &str) -> Option<&str> {
        self.system.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The first application property of that key: outer `None` = not there, inner `None` = null.
    pub fn application(&self, key: &str) -> Option<Option<&str>> {
        self.application.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_deref())
    }

    /// Whether there is no property at all.
    pub fn is_empty(&self) -> bool {
        self.system.is_empty() && self.application.is_empty()
    }
}

/// Prints the bag as it stands in a topic: system properties first, values percent-encoded.
impl fmt::Display for PropertyBag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (key, value) in &self.system {
            // Clients look for a literal "$." at the start of a key.
            let (mark, name) = key.strip_prefix("$.").map_or(("", key.as_str()), |rest| ("$.", rest));
            let (name, value) = (query_text::encode(name), query_text::encode(value));
            write!(f, "{separator}{mark}{name}={value}")?;
            separator = "&";
        }
        for (key, value) in &self.application {
            write!(f, "{separator}{}", query_text::encode(key))?;
            if let Some(value) = value {
                write!(f, "={}", query_text::encode(value))?;
            }
            separator = "&";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bag_of_all_kinds() {
        let bag = PropertyBag::parse("%24.mid=m1&$.ct=application%2Fjson&a=1%202+3&b&c=&iothub-ack=full/").unwrap();
        assert_eq!(bag.system("$.mid"), Some("m1"));
        assert_eq!(bag.system("$.ct"), Some("application/json"));
        assert_eq!(bag.system("iothub-ack"), Some("full"));
        assert_eq!(bag.application("a"), Some(Some("1 2+3")));
        assert_eq!(bag.application("b"), Some(None));
        assert_eq!(bag.application("c"), Some(Some("")));
        assert_eq!(bag.application("d"), None);
        assert_eq!(bag.to_string(), "$.mid=m1&$.ct=application%2Fjson&iothub-ack=full&a=1%202%2B3&b&c=");
    }

    #[test]
    fn an_empty_bag() {
        assert!(PropertyBag::parse("").unwrap().is_empty());
        assert!(PropertyBag::parse("/").unwrap().is_empty());
        assert_eq!(PropertyBag::default().to_string(), "");
    }

    #[test]
    fn faults() {
        assert_eq!(PropertyBag::parse("=1").unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(PropertyBag::parse("a=%ff").unwrap_err().kind, ErrorKind::Invalid);
        let full = vec!["k=v"; MESSAGE_PROPERTIES].join("&");
        assert!(PropertyBag::parse(&full).is_ok());
        assert_eq!(PropertyBag::parse(&format!("{full}&k")).unwrap_err().kind, ErrorKind::TooLarge);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC{0,80}") {
            let _ = PropertyBag::parse(&text);
        }

        #[test]
        fn what_is_printed_parses_to_the_same(
            system in prop::collection::vec(("\\$\\.[^\0]{1,6}", ".{0,8}"), 0..4),
            application in prop::collection::vec(("[^$].{0,6}", prop::option::of(".{0,8}")), 0..4),
        ) {
            let bag = PropertyBag { system, application };
            prop_assert_eq!(PropertyBag::parse(&bag.to_string()).unwrap(), bag);
        }
    }
}
