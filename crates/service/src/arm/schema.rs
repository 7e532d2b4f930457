//! What values the members of a type's `properties` may have, declared by the type and checked by the engine.

use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use serde_json::Value;

/// The rule for one member; it says nothing about one that is missing or null.
pub struct Rule {
    /// Dotted path below `properties`.
    pub path: &'static str,
    /// What it may be.
    pub check: Check,
}

/// What a member may be.
pub enum Check {
    /// True or false.
    Bool,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A text of at most so many characters.
    Text(usize),
    /// A text that follows a rule, given in words.
    Matches(fn(&str) -> bool, &'static str),
    /// One of these texts, ignoring case.
    OneOf(&'static [&'static str]),
    /// An object of at most so many bytes of JSON.
    Object(usize),
}

impl Rule {
    /// Checks the member of a resource.
    ///
    /// # Errors
    /// `InvalidPropertyValue` naming the member and the rule.
    pub fn check(&self, resource: &Resource) -> Result<()> {
        let steps: Vec<&str> = self.path.split('.').collect();
        match resource.value(&steps) {
            None | Some(Value::Null) => Ok(()),
            Some(value) => match self.check.broken(value) {
                None => Ok(()),
                Some(rule) => {
                    let name = steps.last().copied().unwrap_or_default();
                    Err(Error::invalid_property(format!("properties.{}", self.path), format!("'{name}' {rule}.")))
                }
            },
        }
    }
}

impl Check {
    /// The rule in words, completing "'name' …", where the value breaks it.
    fn broken(&self, value: &Value) -> Option<String> {
        let text = value.as_str();
        match self {
            Self::Bool => (!value.is_boolean()).then(|| "is true or false".into()),
            Self::Integer(least, most) => {
                let fits = value.as_i64().is_some_and(|number| (*least..=*most).contains(&number));
                (!fits).then(|| format!("is a whole number from {least} to {most}"))
            }
            Self::Text(most) => {
                let fits = text.is_some_and(|text| text.chars().count() <= *most);
                (!fits).then(|| format!("is a text of at most {most} characters"))
            }
            Self::Matches(legal, words) => (!text.is_some_and(legal)).then(|| format!("is {words}")),
            Self::OneOf(known) => {
                let fits = text.is_some_and(|text| known.iter().any(|word| word.eq_ignore_ascii_case(text)));
                (!fits).then(|| format!("is one of: {}", known.join(", ")))
            }
            Self::Object(most) => {
                let fits = value.is_object() && value.to_string().len() <= *most;
                (!fits).then(|| format!("is an object of at most {most} bytes of JSON"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_check_takes_what_it_says_and_nothing_else() {
        let checks: [(Check, Value, Value); 6] = [
            (Check::Bool, json!(true), json!("true")),
            (Check::Integer(1, 3), json!(3), json!(4)),
            (Check::Text(2), json!("éé"), json!("abc")),
            (Check::Matches(|text| text == "x", "an x"), json!("x"), json!(1)),
            (Check::OneOf(&["On", "Off"]), json!("ON"), json!("Maybe")),
            (Check::Object(10), json!({"a": 1}), json!({"a": "0123456789"})),
        ];
        for (check, good, bad) in checks {
            let rule = Rule { path: "a.b", check };
            let of = |value: Value| {
                let mut resource = Resource::default();
                resource.properties.insert("a".into(), json!({"b": value}));
                rule.check(&resource)
            };
            assert!(of(good).is_ok() && of(Value::Null).is_ok() && rule.check(&Resource::default()).is_ok());
            let error = of(bad).unwrap_err();
            assert_eq!((error.code, error.target.as_deref()), ("InvalidPropertyValue", Some("properties.a.b")));
        }
    }
}
