//! The `queryFilter` of a group of registry devices: `*`, or a condition over the members of a device, with or without `WHERE`.
//!
//! ```text
//! either    = both *( "OR" both )
//! both      = one *( "AND" one )
//! one       = "NOT" one / "(" either ")" / comparison / function
//! comparison= member ( "=" / "!=" / "<>" / "<" / "<=" / ">" / ">=" ) literal / member "IN" "[" literal *( "," literal ) "]"
//! function  = ( "STARTSWITH" / "ENDSWITH" / "CONTAINS" ) "(" member "," text ")" / "IS_DEFINED" "(" member ")"
//! member    = word *( "." word / "['" text "']" )
//! literal   = "'" text "'" / number / "true" / "false" / "null"
//! ```
//!
//! Words of the language ignore case; members and texts do not. A member that a device does not have makes a comparison false,
//! the unequal one too; of a list, one entry that fits is enough.

mod parser;

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::FILTER_BYTES;
use serde_json::Value;
use std::cmp::Ordering;

/// Which devices are members.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupFilter {
    /// All of them.
    All,
    /// Those for which it holds.
    Where(Condition),
}

/// A condition over a device's document.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// One of them holds.
    Or(Vec<Condition>),
    /// All of them hold.
    And(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A member has this relation to a value.
    Is(Member, Relation, Value),
    /// A member is one of these values.
    In(Member, Vec<Value>),
    /// A member is there.
    Defined(Member),
}

/// The steps to a member, from the document's root.
pub type Member = Vec<String>;

/// How a member is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`.
    Equal,
    /// `!=` and `<>`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
    /// `STARTSWITH`.
    Starts,
    /// `ENDSWITH`.
    Ends,
    /// `CONTAINS`: of a text a part, of a list an entry.
    Contains,
}

impl GroupFilter {
    /// Parses a filter. `knows` says whether a device can have a member.
    ///
    /// # Errors
    /// `InvalidQueryFilter` saying where in the text and what is expected there.
    pub fn parse(text: &str, knows: fn(&[String]) -> bool) -> Result<Self> {
        if text.len() > FILTER_BYTES {
            return Err(refused(text, FILTER_BYTES, &format!("it has more than {FILTER_BYTES} bytes")));
        }
        match text.trim() {
            "*" => Ok(Self::All),
            _ => parser::parse(text, knows).map(Self::Where),
        }
    }

    /// Whether the device with this document is a member.
    pub fn matches(&self, device: &Value) -> bool {
        match self {
            Self::All => true,
            Self::Where(condition) => condition.holds(device),
        }
    }
}

impl Condition {
    fn holds(&self, device: &Value) -> bool {
        match self {
            Self::Or(some) => some.iter().any(|one| one.holds(device)),
            Self::And(all) => all.iter().all(|one| one.holds(device)),
            Self::Not(inner) => !inner.holds(device),
            Self::Is(member, relation, wanted) => {
                found(device, member).is_some_and(|value| relation.holds(value, wanted))
            }
            Self::In(member, wanted) => found(device, member)
                .is_some_and(|value| wanted.iter().any(|wanted| Relation::Equal.holds(value, wanted))),
            Self::Defined(member) => found(device, member).is_some(),
        }
    }
}

fn found<'a>(device: &'a Value, member: &[String]) -> Option<&'a Value> {
    member.iter().try_fold(device, |at, step| at.get(step))
}

impl Relation {
    fn holds(self, value: &Value, wanted: &Value) -> bool {
        if let Value::Array(entries) = value {
            return match self {
                Self::Unequal => entries.iter().all(|entry| !same(entry, wanted)),
                Self::Contains => entries.iter().any(|entry| same(entry, wanted)),
                _ => entries.iter().any(|entry| self.holds(entry, wanted)),
            };
        }
        let texts = value.as_str().zip(wanted.as_str());
        let ordered = || match texts {
            Some((value, wanted)) => Some(value.cmp(wanted)),
            None => value.as_f64().zip(wanted.as_f64()).and_then(|(value, wanted)| value.partial_cmp(&wanted)),
        };
        match self {
            Self::Equal => same(value, wanted),
            Self::Unequal => !same(value, wanted),
            Self::Less => ordered() == Some(Ordering::Less),
            Self::AtMost => ordered().is_some_and(Ordering::is_le),
            Self::Greater => ordered() == Some(Ordering::Greater),
            Self::AtLeast => ordered().is_some_and(Ordering::is_ge),
            Self::Starts => texts.is_some_and(|(value, wanted)| value.starts_with(wanted)),
            Self::Ends => texts.is_some_and(|(value, wanted)| value.ends_with(wanted)),
            Self::Contains => texts.is_some_and(|(value, wanted)| value.contains(wanted)),
        }
    }
}

/// Numbers are the same whatever their spelling.
fn same(value: &Value, wanted: &Value) -> bool {
    value == wanted || value.as_f64().zip(wanted.as_f64()).is_some_and(|(value, wanted)| value == wanted)
}

/// The refusal of a filter: where, and what is wrong there.
fn refused(text: &str, at: usize, why: &str) -> Error {
    let place = text.char_indices().take_while(|(index, _)| *index < at).count() + 1;
    let near: String = text.get(at..).unwrap_or_default().chars().filter(|c| !c.is_control()).take(20).collect();
    let near = if near.is_empty() { "at its end".to_owned() } else { format!("near '{near}'") };
    Error::invalid(format!(
        "The queryFilter is not understood at character {place}, {near}: {why}. It is '*' for all devices, or a condition such as: WHERE properties.model = 'P9' AND tags.site IN ['7', '8']"
    ))
    .with_code("InvalidQueryFilter")
    .with_target("properties.queryFilter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn device() -> Value {
        json!({
            "name": "pump-1",
            "tags": {"site": "7", "my tag": "x"},
            "properties": {"model": "P9", "deviceTypeRefs": ["dtmi:a;1", "dtmi:b;2"], "enablementState": "Enabled"},
            "attributes": {"place": {"hall": 7, "warm": true, "deep": {"a": null}}},
        })
    }

    fn parse(text: &str) -> Result<GroupFilter> {
        GroupFilter::parse(text, |member| ["name", "tags", "properties", "attributes"].contains(&member[0].as_str()))
    }

    #[test]
    fn what_holds_and_what_does_not() {
        for (text, wanted) in [
            ("*", true),
            (" * ", true),
            ("properties.model = 'P9'", true),
            ("WHERE properties.model = 'P9'", true),
            ("where properties.model = 'p9'", false),
            ("properties.model != 'P9'", false),
            ("properties.model <> 'P8'", true),
            ("properties.serial != 'P9'", false),
            ("NOT properties.serial = 'P9'", true),
            ("tags.site IN ['6', '7']", true),
            ("tags.site in ('6')", false),
            ("tags['my tag'] = 'x' and name = 'pump-1'", true),
            ("attributes.place.hall >= 7 AND attributes.place.hall < 7.5", true),
            ("attributes.place.hall > 7", false),
            ("attributes.place.hall = 7.0", true),
            ("attributes.place.hall = '7'", false),
            ("attributes.place.warm = true", true),
            ("attributes.place.deep.a = null", true),
            ("properties.deviceTypeRefs = 'dtmi:b;2'", true),
            ("CONTAINS(properties.deviceTypeRefs, 'dtmi:a;1')", true),
            ("contains(properties.deviceTypeRefs, 'dtmi')", false),
            ("properties.deviceTypeRefs != 'dtmi:a;1'", false),
            ("startswith(name, 'pump') AND ENDSWITH(name, '-1') AND contains(name, 'mp')", true),
            ("IS_DEFINED(tags.site) AND NOT is_defined(tags.hall)", true),
            ("name = 'a' OR name = 'pump-1' AND tags.site = '8'", false),
            ("(name = 'a' OR name = 'pump-1') AND tags.site = '7'", true),
            ("not (name = 'a' or name = 'b')", true),
            ("name = 'O''Hara'", false),
            ("attributes.place.hall = -7e0", false),
        ] {
            assert_eq!(parse(text).unwrap().matches(&device()), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, place) in [
            ("", 1),
            ("WHERE", 6),
            ("name", 5),
            ("name = ", 7),
            ("name = pump", 8),
            ("name = 'pump", 8),
            ("name == 'pump'", 7),
            ("name = 'a' AND", 15),
            ("name = 'a' name = 'b'", 12),
            ("(name = 'a'", 12),
            ("name = 'a')", 11),
            ("serial = 'a'", 1),
            ("name LIKE 'a%'", 6),
            ("name IN []", 10),
            ("STARTSWITH(name, 7)", 18),
            ("SQRT(name)", 1),
            ("name = 'a'; DROP", 11),
            ("name < true", 8),
            ("tags[site] = 'a'", 6),
            ("é = 'a'", 1),
            ("name = 'é' %", 12),
            ("SELECT * FROM devices", 8),
            ("name = 1e999", 8),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code, "InvalidQueryFilter");
            assert!(error.message.contains(&format!("at character {place},")), "{text}: {}", error.message);
        }
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let many = vec!["name = 'a'"; 201].join(" OR ");
        for text in ["(".repeat(40), "NOT ".repeat(40) + "name = 'a'", many, format!("name = '{}'", "a".repeat(5000))] {
            let error = parse(&text).unwrap_err();
            assert!(error.code == "InvalidQueryFilter" && error.message.len() < 500, "{}", error.message);
        }
        let list = vec!["'a'"; 300].join(", ");
        assert!(parse(&format!("name IN [{list}]")).unwrap_err().message.contains("200"));
        assert!(parse(&format!("{}name = 'a'{}", "(".repeat(30), ")".repeat(30))).is_ok());
    }
}
