//! Internal ids as rows write them: 22 characters that sort as the ids do.
//!
//! A row of a device is written millions of times, and most of it is ids; the usual form has 36 characters.

use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use base64::{Engine as _, alphabet};
use uuid::Uuid;

/// The 64 characters in the order of their bytes, so that texts sort as the ids behind them.
const SORTED: &str = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// Characters of an id in this form.
pub const UID_CHARS: usize = 22;

const ENGINE: GeneralPurpose = GeneralPurpose::new(&sorted(), NO_PAD);

const fn sorted() -> Alphabet {
    match Alphabet::new(SORTED) {
        Ok(alphabet) => alphabet,
        // Never: the text above has 64 different printable characters, which a test checks.
        Err(_) => alphabet::URL_SAFE,
    }
}

/// The id as rows write it.
pub fn uid_key(uid: Uuid) -> String {
    ENGINE.encode(uid.as_bytes())
}

/// The id behind [`uid_key`]'s text.
pub fn parse_uid_key(text: &str) -> Option<Uuid> {
    if text.len() != UID_CHARS {
        return None;
    }
    Uuid::from_slice(&ENGINE.decode(text).ok()?).ok()
}

/// For `#[serde(with = "…")]`: an id as [`uid_key`] writes it.
pub mod short {
    use super::{parse_uid_key, uid_key};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;
    use uuid::Uuid;

    /// Writes the short form.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(uid: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&uid_key(*uid))
    }

    /// Reads the short form.
    ///
    /// # Errors
    /// A text that is no id.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        parse_uid_key(&text).ok_or_else(|| serde::de::Error::custom("not an internal id"))
    }
}

/// For `#[serde(with = "…")]`: a list of ids as [`uid_key`] writes them.
pub mod short_list {
    use super::{parse_uid_key, uid_key};
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    /// Writes the short forms.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(uids: &[Uuid], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(uids.iter().map(|uid| uid_key(*uid)))
    }

    /// Reads the short forms.
    ///
    /// # Errors
    /// A text that is no id.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Uuid>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let uids = texts.iter().map(|text| parse_uid_key(text));
        uids.collect::<Option<_>>().ok_or_else(|| serde::de::Error::custom("not internal ids"))
    }
}

/// For `#[serde(with = "…")]`: an id as [`uid_key`] writes it, or none.
pub mod short_option {
    use super::{parse_uid_key, uid_key};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;
    use uuid::Uuid;

    /// Writes the short form, or null.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(uid: &Option<Uuid>, serializer: S) -> Result<S::Ok, S::Error> {
        match uid {
            Some(uid) => serializer.serialize_some(&uid_key(*uid)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the short form, or null.
    ///
    /// # Errors
    /// A text that is no id.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<Cow<'_, str>>::deserialize(deserializer)?;
        text.map(|text| parse_uid_key(&text).ok_or_else(|| serde::de::Error::custom("not an internal id"))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_alphabet_is_ours() {
        assert!(Alphabet::new(SORTED).is_ok());
        assert_eq!(uid_key(Uuid::nil()), "-".repeat(UID_CHARS));
        for bad in ["", "-", &"-".repeat(21), &"-".repeat(23), &"=".repeat(22), "é---------------------"] {
            assert_eq!(parse_uid_key(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_sorts_as_the_ids_do(a: u128, b: u128) {
            let (a, b) = (Uuid::from_u128(a), Uuid::from_u128(b));
            prop_assert_eq!(parse_uid_key(&uid_key(a)), Some(a));
            prop_assert_eq!(uid_key(a).cmp(&uid_key(b)), a.cmp(&b));
        }
    }
}
