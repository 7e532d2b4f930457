//! Documents as the projection holds them: JSON in few bytes, read without being parsed.
//!
//! A value is a byte that says what it is, and what belongs to it. Names of members are numbers of a dictionary. Arrays and
//! objects begin with their length in bytes, so that what is not wanted is stepped over.

use ferrohub_wire::kql::{Step, Value};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Names that the dictionary holds at most; further ones stand in the documents themselves: ours.
const NAMES: usize = 65_535;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const WHOLE: u8 = 3;
const REAL: u8 = 4;
const TEXT: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;

/// Numbers of names that rows are asked for most, which every dictionary begins with.
pub(super) const NAME: u32 = 1;
pub(super) const DEVICE_ID: u32 = 2;
pub(super) const PROPERTIES: u32 = 3;
pub(super) const TAGS: u32 = 4;
const FIRST: [&str; 4] = ["name", "deviceId", "properties", "tags"];

/// Names of members by number, from 1 on; 0 is a name that is written out.
#[derive(Debug, Clone)]
pub(super) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { numbers: HashMap::new(), names: Vec::new() };
        for name in FIRST {
            names.number(name);
        }
        names
    }
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.names.len() >= NAMES {
            return 0;
        }
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        let number = u32::try_from(self.names.len()).unwrap_or(0);
        self.numbers.insert(name, number);
        number
    }

    fn name(&self, number: u32) -> &str {
        self.names.get((number as usize).wrapping_sub(1)).map_or("", |name| name)
    }

    /// A step of a path, with the numbers of the names that it may mean.
    pub(super) fn resolve(&self, step: &Step) -> Found {
        match step {
            Step::Element(number) => Found::Element(*number),
            Step::Member(name) => {
                let exact = self.numbers.get(name.as_str()).copied().unwrap_or(u32::MAX);
                let fits = |(known, number): (&Arc<str>, &u32)| known.eq_ignore_ascii_case(name).then_some(*number);
                Found::Member { name: name.clone(), exact, alike: self.numbers.iter().filter_map(fits).collect() }
            }
        }
    }
}

/// A resolved step.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Member { name: String, exact: u32, alike: Vec<u32> },
    Element(i64),
}

/// Packs the text of a document; members at the paths of `without` are left out. `None` for what is no JSON.
pub(super) fn pack(names: &mut Names, text: &str, without: &[&[&str]]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Packer { names, out: &mut out, without: without.to_vec() }.deserialize(&mut deserializer).ok()?;
    Some(out)
}

struct Packer<'p> {
    names: &'p mut Names,
    out: &'p mut Vec<u8>,
    without: Vec<&'p [&'p str]>,
}

impl Packer<'_> {
    /// Writes what `inner` does behind its length.
    fn framed<E>(self, kind: u8, inner: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E> {
        let mut packer = self;
        packer.out.push(kind);
        let start = packer.out.len();
        packer.out.extend_from_slice(&[0; 4]);
        inner(&mut packer)?;
        let length = u32::try_from(packer.out.len() - start - 4).unwrap_or(u32::MAX);
        packer.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Packer<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Packer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.out.push(if flag { TRUE } else { FALSE });
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.out.push(WHOLE);
        varint(self.out, (number << 1 ^ number >> 63).cast_unsigned());
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_f64(number as f64),
        }
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.out.push(REAL);
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.out.push(TEXT);
        write_text(self.out, text);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push(NULL);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.framed(ARRAY, |packer| {
            while seq.next_element_seed(Packer { names: packer.names, out: packer.out, without: Vec::new() })?.is_some()
            {
            }
            Ok(())
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.framed(OBJECT, |packer| {
            while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                let at = |path: &&[&str]| path.first() == Some(&name.as_ref());
                let below: Vec<&[&str]> = packer.without.iter().copied().filter(at).map(|path| &path[1..]).collect();
                if below.iter().any(|path| path.is_empty()) {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                let number = packer.names.number(&name);
                varint(packer.out, u64::from(number));
                if number == 0 {
                    write_text(packer.out, &name);
                }
                map.next_value_seed(Packer { names: packer.names, out: packer.out, without: below })?;
            }
            Ok(())
        })
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A packed value with what names its members.
#[derive(Clone, Copy)]
pub(super) struct Packed<'s> {
    bytes: &'s [u8],
    names: &'s Names,
}

/// Reads on from where it stands.
struct Reader<'s> {
    bytes: &'s [u8],
}

impl<'s> Reader<'s> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<&'s [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'s str> {
        let length = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn frame(&mut self) -> Option<&'s [u8]> {
        let length: [u8; 4] = self.take(4)?.try_into().ok()?;
        self.take(u32::from_le_bytes(length) as usize)
    }

    /// Steps over a value.
    fn skip(&mut self) -> Option<()> {
        match self.byte()? {
            WHOLE => drop(self.varint()?),
            REAL => drop(self.take(8)?),
            TEXT => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.take(length)?;
            }
            ARRAY | OBJECT => drop(self.frame()?),
            _ => {}
        }
        Some(())
    }

    /// The number of a name, and its text where it is written out.
    fn name(&mut self) -> Option<(u32, &'s str)> {
        let number = u32::try_from(self.varint()?).ok()?;
        Some((number, if number == 0 { self.text()? } else { "" }))
    }
}

impl<'s> Packed<'s> {
    pub(super) fn new(bytes: &'s [u8], names: &'s Names) -> Self {
        Self { bytes, names }
    }

    fn reader(self) -> Reader<'s> {
        Reader { bytes: self.bytes }
    }

    /// The member of this name.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        let number = self.names.numbers.get(name).copied().unwrap_or(u32::MAX);
        self.find(|known, text| known == number || (known == 0 && text == name))
    }

    /// The member with the number of a name that the dictionary begins with.
    pub(super) fn numbered(self, wanted: u32) -> Option<Self> {
        self.find(|number, _| number == wanted)
    }

    fn find(self, wanted: impl Fn(u32, &str) -> bool) -> Option<Self> {
        let mut reader = self.reader();
        if reader.byte()? != OBJECT {
            return None;
        }
        let mut members = Reader { bytes: reader.frame()? };
        while !members.bytes.is_empty() {
            let (number, text) = members.name()?;
            if wanted(number, text) {
                return Some(Self { bytes: members.bytes, names: self.names });
            }
            members.skip()?;
        }
        None
    }

    fn element(self, number: i64) -> Option<Self> {
        let mut reader = self.reader();
        if reader.byte()? != ARRAY {
            return None;
        }
        let frame = reader.frame()?;
        let number = match usize::try_from(number) {
            Ok(number) => number,
            Err(_) => {
                let (mut all, mut count) = (Reader { bytes: frame }, 0i64);
                while !all.bytes.is_empty() {
                    all.skip()?;
                    count += 1;
                }
                usize::try_from(count + number).ok()?
            }
        };
        let mut elements = Reader { bytes: frame };
        for _ in 0..number {
            elements.skip()?;
        }
        (!elements.bytes.is_empty()).then_some(Self { bytes: elements.bytes, names: self.names })
    }

    /// What stands at resolved steps.
    pub(super) fn at(self, steps: &[Found]) -> Option<Self> {
        steps.iter().try_fold(self, |at, step| match step {
            Found::Element(number) => at.element(*number),
            Found::Member { name, exact, alike } => {
                at.find(|number, text| number == *exact || (number == 0 && text == name)).or_else(|| {
                    at.find(|number, text| alike.contains(&number) || (number == 0 && text.eq_ignore_ascii_case(name)))
                })
            }
        })
    }

    pub(super) fn text(self) -> Option<&'s str> {
        let mut reader = self.reader();
        if reader.byte()? == TEXT { reader.text() } else { None }
    }

    pub(super) fn value(self) -> Value<'s> {
        let mut reader = self.reader();
        let value = match reader.byte() {
            Some(FALSE) => Some(Value::Bool(false)),
            Some(TRUE) => Some(Value::Bool(true)),
            Some(WHOLE) => reader.varint().map(|number| Value::Long(unzigzag(number))),
            Some(REAL) => {
                reader.take(8).and_then(|bytes| Some(Value::Real(f64::from_le_bytes(bytes.try_into().ok()?))))
            }
            Some(TEXT) => reader.text().map(Value::text),
            Some(ARRAY | OBJECT) => Some(Value::Dynamic(Arc::new(self.json()))),
            _ => None,
        };
        value.unwrap_or(Value::Null)
    }

    pub(super) fn json(self) -> Json {
        self.read(&mut self.reader()).unwrap_or(Json::Null)
    }

    fn read(self, reader: &mut Reader<'s>) -> Option<Json> {
        Some(match reader.byte()? {
            FALSE => Json::Bool(false),
            TRUE => Json::Bool(true),
            WHOLE => Json::from(unzigzag(reader.varint()?)),
            REAL => {
                Number::from_f64(f64::from_le_bytes(reader.take(8)?.try_into().ok()?)).map_or(Json::Null, Json::Number)
            }
            TEXT => Json::from(reader.text()?),
            ARRAY => {
                let mut elements = Reader { bytes: reader.frame()? };
                let mut all = Vec::new();
                while !elements.bytes.is_empty() {
                    all.push(self.read(&mut elements)?);
                }
                Json::Array(all)
            }
            OBJECT => {
                let mut members = Reader { bytes: reader.frame()? };
                let mut map = Map::new();
                while !members.bytes.is_empty() {
                    let (number, text) = members.name()?;
                    let name = if number == 0 { text } else { self.names.name(number) };
                    map.insert(name.to_owned(), self.read(&mut members)?);
                }
                Json::Object(map)
            }
            _ => Json::Null,
        })
    }
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_read_as_they_were_written() {
        let doc = json!({
            "name": "Pump-1", "n": [-1, 0, 1.5, i64::MAX, i64::MIN, true, false, null, ""],
            "deep": {"a": {"b": [{"c": "x"}]}}, "secrets": {"k": "v"}, "desired": {"metadata": 1, "properties": {"t": 1}}
        });
        let mut names = Names::default();
        let bytes = pack(&mut names, &doc.to_string(), &[&["secrets"], &["desired", "metadata"]]).unwrap();
        let packed = Packed::new(&bytes, &names);
        let mut kept = doc.clone();
        kept.as_object_mut().unwrap().shift_remove("secrets");
        kept["desired"].as_object_mut().unwrap().shift_remove("metadata");
        assert_eq!(packed.json(), kept);
        let at = |steps: &[Step]| {
            let steps: Vec<Found> = steps.iter().map(|step| names.resolve(step)).collect();
            packed.at(&steps).map(Packed::json)
        };
        let member = |name: &str| Step::Member(name.into());
        assert_eq!(at(&[member("deep"), member("A"), member("b"), Step::Element(-1), member("c")]), Some(json!("x")));
        assert_eq!(at(&[member("n"), Step::Element(3)]), Some(json!(i64::MAX)));
        assert_eq!(at(&[member("n"), Step::Element(9)]), None);
        assert_eq!(at(&[member("n"), Step::Element(-10)]), None);
        assert_eq!(at(&[member("name"), member("x")]), None);
        assert_eq!(packed.member("name").and_then(Packed::text), Some("Pump-1"));
        assert!(pack(&mut names, "{", &[]).is_none());
    }
}
