//! The text side of names: RFC 4514 and the slash form, escaping, and the checks of each value.

use super::Attribute;
use crate::oid;
use const_oid::ObjectIdentifier;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{COMMON_NAME_CHARS, DISTINGUISHED_NAME_CHARS};

const TARGET: &str = "subject";

/// Attributes that a name may have when it is written by a person.
const KNOWN: [(&str, ObjectIdentifier); 9] = [
    ("CN", oid::COMMON_NAME),
    ("O", oid::ORGANIZATION),
    ("OU", oid::ORGANIZATIONAL_UNIT),
    ("C", oid::COUNTRY),
    ("L", oid::LOCALITY),
    ("ST", oid::STATE),
    ("DC", oid::DOMAIN_COMPONENT),
    ("serialNumber", oid::SERIAL_NUMBER),
    ("emailAddress", oid::EMAIL_ADDRESS),
];

/// Other spellings that openssl and .NET accept.
const ALIASES: [(&str, &str); 4] =
    [("S", "ST"), ("E", "emailAddress"), ("SN", "serialNumber"), ("EMAIL", "emailAddress")];

pub(super) fn type_name(kind: ObjectIdentifier) -> String {
    let known = KNOWN.iter().find(|(_, id)| *id == kind);
    known.map_or_else(|| kind.to_string(), |(name, _)| (*name).to_owned())
}

/// Splits at `separator` where it is neither escaped nor inside quotes.
pub(super) fn split_unescaped(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut current) = (Vec::new(), String::new());
    let (mut escaped, mut quoted) = (false, false);
    for c in text.chars() {
        if c == separator && !escaped && !quoted {
            parts.push(std::mem::take(&mut current));
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        current.push(c);
    }
    parts.push(current);
    parts
}

pub(super) fn parse_attribute(part: &str, separator: char) -> Result<Attribute> {
    let Some((key, raw)) = part.split_once('=') else {
        return Err(invalid(format!(
            "The subject has the part '{}' without '='; write parts as TYPE=value, joined by '{separator}', and escape a literal '{separator}' as '\\{separator}'.",
            part.trim()
        )));
    };
    let kind = known_type(key.trim())?;
    checked(kind, unescape(raw)?)
}

fn known_type(key: &str) -> Result<ObjectIdentifier> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(key));
    let name = alias.map_or(key, |(_, name)| *name);
    let found = KNOWN.iter().find(|(known, id)| known.eq_ignore_ascii_case(name) || id.to_string() == name);
    found.map(|(_, id)| *id).ok_or_else(|| {
        let names: Vec<_> = KNOWN.iter().map(|(name, _)| *name).collect();
        invalid(format!("The subject has the unknown attribute '{key}'; use one of {}.", names.join(", ")))
    })
}

/// Checks length and characters of one value.
pub(super) fn checked(kind: ObjectIdentifier, value: String) -> Result<Attribute> {
    let name = type_name(kind);
    let most = match kind {
        oid::COUNTRY => 2,
        oid::COMMON_NAME => COMMON_NAME_CHARS,
        _ => DISTINGUISHED_NAME_CHARS,
    };
    let count = value.chars().count();
    if count == 0 || count > most {
        return Err(invalid(format!("The subject's {name} has {count} characters; give 1 to {most}.")));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(format!("The subject's {name} has a control character; remove it.")));
    }
    let allowed = match kind {
        oid::COUNTRY => count == 2 && value.chars().all(|c| c.is_ascii_alphabetic()),
        oid::SERIAL_NUMBER => value.chars().all(|c| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c)),
        oid::DOMAIN_COMPONENT | oid::EMAIL_ADDRESS => value.is_ascii(),
        _ => true,
    };
    if !allowed {
        return Err(invalid(format!(
            "The subject's {name} '{value}' has a forbidden form: C is two letters, serialNumber is letters, digits and ' ()+,-./:=?, DC and emailAddress are ASCII."
        )));
    }
    Ok(Attribute { kind, value, opaque: false })
}

/// Undoes RFC 4514 escaping and the quotes of RFC 1779; outer unescaped spaces are dropped.
fn unescape(raw: &str) -> Result<String> {
    let trimmed = trim_unescaped(raw);
    let quoted = trimmed.len() >= 2 && trimmed.starts_with('"') && trimmed.ends_with('"');
    let inner = if quoted { &trimmed[1..trimmed.len() - 1] } else { trimmed };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            let special = matches!(c, '+' | '"' | ';' | '<' | '>') && !quoted;
            if special || (c == '#' && bytes.is_empty() && !quoted) {
                return Err(invalid(format!(
                    "The subject has an unescaped '{c}' in '{trimmed}'; write '\\{c}' for the character itself."
                )));
            }
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let next = chars.next().ok_or_else(|| invalid("The subject ends in a single '\\'; write '\\\\'."))?;
        match (next.to_digit(16), chars.peek().and_then(|low| low.to_digit(16))) {
            (Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                chars.next();
            }
            _ => bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid("The subject has a hexadecimal escape that is not UTF-8."))
}

/// Drops outer white space, but not the escaped space that ends `value\ `.
pub(super) fn trim_unescaped(raw: &str) -> &str {
    let blank = |c: char| c.is_ascii_whitespace();
    let text = raw.trim_start_matches(blank);
    let short = text.trim_end_matches(blank);
    let backslashes = short.chars().rev().take_while(|c| *c == '\\').count();
    // White space is ASCII here, so one byte more is one character more.
    if backslashes % 2 == 1 && short.len() < text.len() { &text[..short.len() + 1] } else { short }
}

pub(super) fn escape(value: &str, opaque: bool) -> String {
    if opaque {
        return value.to_owned();
    }
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
        let at_edge = (c == ' ' && (index == 0 || index == last)) || (c == '#' && index == 0);
        if c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                text.push_str(&format!("\\{byte:02X}"));
            }
            continue;
        }
        if special || at_edge {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::invalid_property(TARGET, message)
}
