//! Distinguished names: text (RFC 4514 or the slash form of openssl), comparison, and DER.
//!
//! A [`SubjectName`] keeps its parts in the order of the DER encoding. RFC 4514 writes them in the
//! reverse order, so `CN=TestDevice,O=Plant 7` encodes O first; `/O=Plant 7/CN=TestDevice` is the same name.

mod text;

use crate::oid;
use const_oid::ObjectIdentifier;
use der::asn1::{Any, SetOfVec};
use der::{Decode, Encode, Tag, Tagged};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::DISTINGUISHED_NAME_CHARS;
use std::fmt;
use text::{checked, escape, invalid, parse_attribute, split_unescaped, trim_unescaped, type_name};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::Name;

/// One attribute: its type and its value as text (`#` and hex of the DER where it is no string).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    kind: ObjectIdentifier,
    value: String,
    opaque: bool,
}

/// A distinguished name. `Display` writes RFC 4514; equality is of the exact values, see [`SubjectName::matches`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectName {
    rdns: Vec<Vec<Attribute>>,
}

impl SubjectName {
    /// Parses `CN=TestDevice,O=Plant 7` (RFC 4514 with `\` escapes and quotes) or `/O=Plant 7/CN=TestDevice`.
    /// At most [`DISTINGUISHED_NAME_CHARS`] characters, each of the known attributes CN, O, OU, C, L, ST, DC, serialNumber, emailAddress.
    ///
    /// # Errors
    /// `InvalidPropertyValue` with target `subject`.
    pub fn parse(text: &str) -> Result<Self> {
        let trimmed = trim_unescaped(text);
        if trimmed.is_empty() {
            return Err(invalid("The subject is empty; give a distinguished name such as 'CN=Plant 7 Root'."));
        }
        within_limit(trimmed)?;
        let (separator, body, reversed) = match trimmed.strip_prefix('/') {
            Some(body) => ('/', body, false),
            None => (',', trimmed, true),
        };
        let mut rdns = Vec::new();
        for part in split_unescaped(body, separator) {
            rdns.push(vec![parse_attribute(&part, separator)?]);
        }
        if reversed {
            rdns.reverse();
        }
        let name = Self { rdns };
        // Aliases grow when they are printed, and what is printed is stored and must be read again.
        within_limit(&name.to_string())?;
        Ok(name)
    }

    /// A name of one common name of 1 to `limits::COMMON_NAME_CHARS` characters, taken as it is.
    ///
    /// # Errors
    /// `InvalidPropertyValue` with target `subject`.
    pub fn from_common_name(common_name: &str) -> Result<Self> {
        let attribute = checked(oid::COMMON_NAME, common_name.to_owned())?;
        Ok(Self { rdns: vec![vec![attribute]] })
    }

    /// The empty name, for server certificates that are named by their alternative names only.
    pub(crate) fn empty() -> Self {
        Self { rdns: Vec::new() }
    }

    /// Reads a DER `Name`, whatever its attributes are.
    ///
    /// # Errors
    /// The decoder's error where the bytes are no name.
    pub fn from_der(bytes: &[u8]) -> der::Result<Self> {
        Ok(Self::from_x509(&Name::from_der(bytes)?))
    }

    /// The name as text parts, whatever its attributes are.
    pub fn from_x509(name: &Name) -> Self {
        let rdns = name.iter_rdn().map(|rdn| rdn.iter().map(attribute_of).collect()).collect();
        Self { rdns }
    }

    /// The name as x509-cert's type.
    ///
    /// # Errors
    /// An internal error where a value cannot be encoded.
    pub fn to_x509(&self) -> Result<Name> {
        Name::from_der(&self.to_der()?).map_err(internal)
    }

    /// DER `Name`: UTF8String values, except PrintableString for C and serialNumber and IA5String for
    /// DC and emailAddress, as RFC 5280, appendix A.1 asks.
    ///
    /// # Errors
    /// An internal error where a value cannot be encoded.
    pub fn to_der(&self) -> Result<Vec<u8>> {
        let mut sequence: Vec<SetOfVec<AttributeTypeAndValue>> = Vec::with_capacity(self.rdns.len());
        for rdn in &self.rdns {
            let mut set = SetOfVec::new();
            for attribute in rdn {
                set.insert(encode_attribute(attribute).map_err(internal)?).map_err(internal)?;
            }
            sequence.push(set);
        }
        sequence.to_der().map_err(internal)
    }

    /// The first common name.
    pub fn common_name(&self) -> Option<&str> {
        let found = self.rdns.iter().flatten().find(|a| a.kind == oid::COMMON_NAME && !a.opaque);
        found.map(|attribute| attribute.value.as_str())
    }

    /// A text for comparing names: lower case, runs of white space as one space, trimmed, order kept.
    pub fn canonical(&self) -> String {
        let rdns = self.rdns.iter().rev().map(|rdn| {
            let parts = rdn.iter().map(|a| {
                let folded = a.value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                format!("{}={}", type_name(a.kind).to_lowercase(), escape(&folded, a.opaque))
            });
            parts.collect::<Vec<_>>().join("+")
        });
        rdns.collect::<Vec<_>>().join(",")
    }

    /// True if both are the same distinguished name: see [`SubjectName::canonical`].
    pub fn matches(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

fn within_limit(text: &str) -> Result<()> {
    if text.chars().count() > DISTINGUISHED_NAME_CHARS {
        return Err(invalid(format!("The subject has more than {DISTINGUISHED_NAME_CHARS} characters; shorten it.")));
    }
    Ok(())
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().rev().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for (position, attribute) in rdn.iter().enumerate() {
                if position > 0 {
                    f.write_str("+")?;
                }
                write!(f, "{}={}", type_name(attribute.kind), escape(&attribute.value, attribute.opaque))?;
            }
        }
        Ok(())
    }
}

/// Text of a directory string of any of the string types in use; none for other types or bad bytes.
pub(crate) fn directory_text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
        // In practice Latin-1.
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString if bytes.len().is_multiple_of(2) => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

fn attribute_of(source: &AttributeTypeAndValue) -> Attribute {
    match directory_text(&source.value) {
        Some(value) => Attribute { kind: source.oid, value, opaque: false },
        None => {
            let der = source.value.to_der().unwrap_or_default();
            Attribute { kind: source.oid, value: format!("#{}", hex::encode(der)), opaque: true }
        }
    }
}

fn encode_attribute(attribute: &Attribute) -> der::Result<AttributeTypeAndValue> {
    let value = if attribute.opaque {
        let der = hex::decode(attribute.value.trim_start_matches('#')).unwrap_or_default();
        Any::from_der(&der)?
    } else {
        let tag = match attribute.kind {
            oid::COUNTRY | oid::SERIAL_NUMBER => Tag::PrintableString,
            oid::DOMAIN_COMPONENT | oid::EMAIL_ADDRESS => Tag::Ia5String,
            _ => Tag::Utf8String,
        };
        Any::new(tag, attribute.value.as_bytes())?
    };
    Ok(AttributeTypeAndValue { oid: attribute.kind, value })
}

fn internal(error: der::Error) -> Error {
    Error::internal(format!("encoding a distinguished name: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comma_and_slash_forms_are_the_same_name() {
        let comma = SubjectName::parse("CN=TestDevice, O=Plant 7").unwrap();
        let slash = SubjectName::parse("/O=Plant 7/CN=TestDevice").unwrap();
        assert_eq!(comma, slash);
        assert_eq!(comma.to_string(), "CN=TestDevice,O=Plant 7");
        assert_eq!(comma.common_name(), Some("TestDevice"));
    }

    #[test]
    fn escapes_survive_text_and_der() {
        for text in
            [r"CN=Smith\, John,O=A\+B", r#"CN="Smith, John""#, r"CN=\ edge\ ", r"CN=caf\C3\A9", r"CN=\#1", r"CN=a\\b"]
        {
            let name = SubjectName::parse(text).unwrap();
            assert_eq!(SubjectName::parse(&name.to_string()).unwrap(), name, "{text}");
            assert_eq!(SubjectName::from_der(&name.to_der().unwrap()).unwrap(), name, "{text}");
        }
        assert_eq!(SubjectName::parse(r"CN=\ edge\ ").unwrap().common_name(), Some(" edge "));
        assert_eq!(SubjectName::parse(r"CN=caf\C3\A9").unwrap().common_name(), Some("café"));
    }

    #[test]
    fn canonical_ignores_case_and_white_space_but_not_order() {
        let name = SubjectName::parse("CN=Plant  7 root,O=ACME").unwrap();
        assert!(name.matches(&SubjectName::parse("cn=plant 7 Root , o=Acme").unwrap()));
        assert!(!name.matches(&SubjectName::parse("O=ACME,CN=Plant 7 root").unwrap()));
    }

    #[test]
    fn bad_names_are_refused_with_the_target() {
        let long = format!("CN={}", "a".repeat(600));
        // Within the limit as it is written, over it as `serialNumber=…`.
        let grows = ["SN=12345"; 50].join(",");
        for text in [
            "",
            "  ",
            "TestDevice",
            "CN=",
            "XX=1",
            "C=Germany",
            "CN=a+OU=b",
            "CN=a\\",
            "CN=\\FF",
            "CN=a,,O=b",
            &long,
            &grows,
        ] {
            let error = SubjectName::parse(text).unwrap_err();
            assert_eq!(error.target.as_deref(), Some("subject"), "{text}");
            assert_eq!(error.code, "InvalidPropertyValue");
        }
    }
}
