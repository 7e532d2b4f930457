//! The form in which the log keeps an event's properties: bytes that can be put together.
//!
//! One entry after the other, without a count, so that what every message of a connection has in common is packed once
//! and shared. An entry is a byte that says what it is (0 system, 1 application, 2 application without a value), the
//! name, and the value unless it has none. A text is either one byte below 0x80, the place in
//! [`ferrohub_model::message::WORDS`]; or 0x80 plus its length below 127, then its bytes; or 0xff, four bytes of length
//! (little-endian), then its bytes.

use crate::EventProperties;
use bytes::Bytes;
use ferrohub_model::message::WORDS;

const SYSTEM: u8 = 0;
const APPLICATION: u8 = 1;
const BARE: u8 = 2;

/// A text of this length or more has its length in four bytes.
const LONG: usize = 0x7f;
/// Set in the first byte of a text that is written out.
const WRITTEN_OUT: u8 = 0x80;

const _: () = assert!(WORDS.len() <= WRITTEN_OUT as usize);

/// Packed properties. Cloning shares the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed(Bytes);

impl Packed {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads what a log has kept.
    ///
    /// # Errors
    /// What is wrong with bytes that no [`Packer`] made.
    pub fn unpack(bytes: &[u8]) -> Result<EventProperties, &'static str> {
        let (mut properties, mut rest) = (EventProperties::default(), bytes);
        while let Some((kind, after)) = rest.split_first() {
            rest = after;
            let name = text(&mut rest)?;
            match *kind {
                SYSTEM => properties.system.push((name, text(&mut rest)?)),
                APPLICATION => properties.application.push((name, Some(text(&mut rest)?))),
                BARE => properties.application.push((name, None)),
                _ => return Err("a property is of an unknown kind"),
            }
        }
        Ok(properties)
    }
}

impl From<&EventProperties> for Packed {
    fn from(properties: &EventProperties) -> Self {
        let mut packer = Packer::default();
        for (name, value) in &properties.system {
            packer.system(name, value);
        }
        for (name, value) in &properties.application {
            packer.application(name, value.as_deref());
        }
        packer.finish()
    }
}

/// Packs properties in the order in which they are given.
#[derive(Debug, Default)]
pub struct Packer(Vec<u8>);

impl Packer {
    /// Adds a system property.
    pub fn system(&mut self, name: &str, value: &str) {
        self.0.push(SYSTEM);
        self.text(name);
        self.text(value);
    }

    /// Adds an application property; `None` is a name without a value.
    pub fn application(&mut self, name: &str, value: Option<&str>) {
        self.0.push(if value.is_some() { APPLICATION } else { BARE });
        self.text(name);
        if let Some(value) = value {
            self.text(value);
        }
    }

    /// Adds all that was packed before.
    pub fn packed(&mut self, other: &Packed) {
        self.0.extend_from_slice(other.as_bytes());
    }

    /// The properties.
    pub fn finish(self) -> Packed {
        Packed(self.0.into())
    }

    fn text(&mut self, text: &str) {
        if let Some(place) = WORDS.iter().position(|word| *word == text) {
            return self.0.push(place as u8);
        }
        if text.len() < LONG {
            self.0.push(WRITTEN_OUT | text.len() as u8);
        } else {
            self.0.push(u8::MAX);
            // A record is far below 4 GiB, and the log refuses what is not.
            self.0.extend_from_slice(&(text.len() as u32).to_le_bytes());
        }
        self.0.extend_from_slice(text.as_bytes());
    }
}

fn text(rest: &mut &[u8]) -> Result<String, &'static str> {
    const SHORT: &str = "a property is cut short";
    let (first, after) = rest.split_first().ok_or(SHORT)?;
    *rest = after;
    if *first < WRITTEN_OUT {
        let word = WORDS.get(usize::from(*first)).ok_or("a property has a word that this program does not know")?;
        return Ok((*word).to_owned());
    }
    let length = match usize::from(*first - WRITTEN_OUT) {
        LONG => {
            let (length, after) = rest.split_first_chunk().ok_or(SHORT)?;
            *rest = after;
            u32::from_le_bytes(*length) as usize
        }
        short => short,
    };
    let (text, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = after;
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| "a property is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties() -> EventProperties {
        EventProperties {
            system: vec![("message-id".into(), "1".into()), ("own".into(), "x".repeat(LONG))],
            application: vec![
                ("level".into(), Some(String::new())),
                ("flag".into(), None),
                ("é".into(), Some("ü".into())),
            ],
        }
    }

    #[test]
    fn properties_survive() {
        let packed = Packed::from(&properties());
        assert_eq!(Packed::unpack(packed.as_bytes()).unwrap(), properties());
        assert_eq!(Packed::unpack(&[]).unwrap(), EventProperties::default());
        for length in [LONG - 1, LONG, LONG + 1, 70_000] {
            let long = EventProperties { application: vec![("x".repeat(length), None)], ..EventProperties::default() };
            assert_eq!(Packed::unpack(Packed::from(&long).as_bytes()).unwrap(), long);
        }
    }

    #[test]
    fn parts_make_the_whole() {
        let mut packer = Packer::default();
        packer.application("a", None);
        packer.packed(&Packed::from(&properties()));
        let whole = Packed::unpack(packer.finish().as_bytes()).unwrap();
        assert_eq!(whole.system, properties().system);
        assert_eq!(whole.application[0], ("a".into(), None));
        assert_eq!(whole.application[1..], properties().application);
    }

    #[test]
    fn known_words_take_a_byte() {
        let mut packer = Packer::default();
        packer.system("message-id", "Telemetry");
        assert_eq!(packer.finish().as_bytes().len(), 3);
    }

    #[test]
    fn damage_is_an_error() {
        let packed = Packed::from(&properties());
        let bytes = packed.as_bytes();
        let whole: Vec<usize> = (0..bytes.len()).filter(|end| Packed::unpack(&bytes[..*end]).is_ok()).collect();
        // Only between two entries.
        assert_eq!(whole.len(), 5, "{whole:?}");
        for bad in [&[3][..], &[0, 0x7f], &[0, 0xff, 1, 0, 0], &[2, 0x81, 0xff]] {
            assert!(Packed::unpack(bad).is_err(), "{bad:?}");
        }
    }
}
