//! What the members of a type are: declared by the type, checked by the engine, printed into
//! `docs/howto/descriptive-properties.md`.
//!
//! A member is acted upon, or descriptive and listed there, or not built and refused unless it asks for nothing. One that
//! nobody declared is refused, at whatever depth. Nothing is taken and dropped.

use serde_json::{Map, Value};

/// One member of an object.
pub struct Property {
    /// Its JSON name.
    pub name: &'static str,
    /// What it may be; of one that is not built, what asks for nothing.
    pub check: Check,
    /// What becomes of it.
    pub meaning: Meaning,
    /// Whether it cannot change after creation. One that is left out keeps its value.
    pub create_only: bool,
    /// Whether the object that it belongs to must have it.
    pub required: bool,
}

/// What becomes of a member that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The product acts on it, or refuses it in the type's own words.
    Acted,
    /// Kept and shown, and nothing more; the text says what it is for.
    Descriptive(&'static str),
    /// Only the server writes it. Clients put back what they read, so what they send here is not looked at.
    ReadOnly,
    /// Not built: anything that [`Property::check`] does not allow is refused with this sentence.
    Unbuilt(&'static str),
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
    /// One of these texts; taken in any case, kept in this one.
    OneOf(&'static [&'static str]),
    /// A list of exactly these texts.
    Texts(&'static [&'static str]),
    /// An object of at most so many bytes of JSON, whose members are the client's own.
    Object(usize),
    /// An object with these members.
    Members(&'static [Property]),
    /// A list of at most so many of these.
    Each(&'static Self, usize),
    /// An object of at most so many members with names of the client's choice, each of this kind.
    Named(&'static Self, usize),
    /// An object whose first-named member, one of these words, says which further members there are.
    Shapes(&'static Property, &'static [(&'static str, &'static [Property])]),
    /// False, an empty text, an empty list, or an object of nothing but these.
    Off,
    /// What the type itself reads, and refuses in its own words.
    Own,
}

/// Set by every type.
pub const PROVISIONING_STATE: Property = read_only("provisioningState");

/// A member that the product acts on.
pub const fn acted(name: &'static str, check: Check) -> Property {
    Property { name, check, meaning: Meaning::Acted, create_only: false, required: false }
}

/// A member that is kept and shown; `what` says what it is for.
pub const fn descriptive(name: &'static str, check: Check, what: &'static str) -> Property {
    Property { name, check, meaning: Meaning::Descriptive(what), create_only: false, required: false }
}

/// A member that only the server writes.
pub const fn read_only(name: &'static str) -> Property {
    Property { name, check: Check::Own, meaning: Meaning::ReadOnly, create_only: false, required: false }
}

/// A member that is not built: `idle` is what asks for nothing, `why` the sentence with which the rest is refused.
pub const fn unbuilt(name: &'static str, idle: Check, why: &'static str) -> Property {
    Property { name, check: idle, meaning: Meaning::Unbuilt(why), create_only: false, required: false }
}

impl Property {
    /// The same, never to change after creation.
    #[must_use]
    pub const fn create_only(self) -> Self {
        // Rebuilt because a constant function cannot drop what it takes apart.
        Self { create_only: true, ..self }
    }

    /// The same, without which the object is refused.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) fn walk(&'static self, above: &str, found: &mut Vec<(String, &'static Self)>) {
        let path = if above.is_empty() { self.name.to_owned() } else { format!("{above}.{}", self.name) };
        found.push((path.clone(), self));
        self.check.walk(&path, found);
    }
}

impl Check {
    /// Every member below, by its path: `[]` for an entry of a list, `*` for a name of the client's choice,
    /// `{target=Mqtt}` for the shape that this word chooses.
    fn walk(&'static self, path: &str, found: &mut Vec<(String, &'static Property)>) {
        match self {
            Self::Members(members) => members.iter().for_each(|member| member.walk(path, found)),
            Self::Each(inner, _) => inner.walk(&format!("{path}[]"), found),
            Self::Named(inner, _) => inner.walk(&format!("{path}.*"), found),
            Self::Shapes(chooser, shapes) => {
                for (word, members) in *shapes {
                    let path = format!("{path}{{{}={word}}}", chooser.name);
                    chooser.walk(&path, found);
                    members.iter().for_each(|member| member.walk(&path, found));
                }
            }
            _ => {}
        }
    }

    /// The members of an object whose shape does not depend on what it says.
    pub(super) fn members(&self) -> &'static [Property] {
        match self {
            Self::Members(members) => members,
            _ => &[],
        }
    }

    /// The members of the shape that `value` chooses, the choosing one apart; `None` where it chooses none.
    pub(super) fn chosen(&self, value: &Map<String, Value>) -> Option<&'static [Property]> {
        let Self::Shapes(chooser, shapes) = self else { return None };
        let word = value.get(chooser.name)?.as_str()?;
        shapes.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, members)| *members)
    }

    /// The rule in words, completing "'name' …", where the value itself breaks it; what lies below is not looked at.
    pub(super) fn broken(&self, value: &Value) -> Option<String> {
        let text = value.as_str();
        let (holds, rule) = match self {
            Self::Bool => (value.is_boolean(), "is true or false".into()),
            Self::Integer(least, most) => {
                let fits = value.as_i64().is_some_and(|number| (*least..=*most).contains(&number));
                let words = match least == most {
                    true => format!("is {least}"),
                    false => format!("is a whole number from {least} to {most}"),
                };
                (fits, words)
            }
            Self::Text(most) => {
                let fits = text.is_some_and(|text| text.chars().count() <= *most);
                (fits, format!("is a text of at most {most} characters"))
            }
            Self::Matches(legal, words) => (text.is_some_and(legal), format!("is {words}")),
            Self::OneOf(known) => {
                let fits = text.is_some_and(|text| known.iter().any(|word| word.eq_ignore_ascii_case(text)));
                let words = if known.len() == 1 { "is" } else { "is one of:" };
                (fits, format!("{words} {}", known.join(", ")))
            }
            Self::Texts(texts) => (*value == serde_json::json!(texts), format!("is the list [{}]", texts.join(", "))),
            Self::Object(most) => {
                let fits = value.is_object() && value.to_string().len() <= *most;
                (fits, format!("is an object of at most {most} bytes of JSON"))
            }
            Self::Members(_) | Self::Shapes(..) => (value.is_object(), "is an object".into()),
            Self::Each(_, most) => {
                let fits = value.as_array().is_some_and(|list| list.len() <= *most);
                (fits, format!("is a list of at most {most} entries"))
            }
            Self::Named(_, most) => {
                let fits = value.as_object().is_some_and(|map| map.len() <= *most);
                (fits, format!("is an object of at most {most} members"))
            }
            Self::Off => (is_off(value), "is false or empty".into()),
            Self::Own => (true, String::new()),
        };
        (!holds).then_some(rule)
    }

    /// The rule in words, for the table.
    pub fn words(&self) -> String {
        match self {
            Self::Off => "false or empty".into(),
            Self::Each(each, _) => format!("a list of {}", each.words()),
            _ => self.broken(&Value::Null).map_or_else(String::new, |rule| rule.replacen("is ", "", 1)),
        }
    }
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_off),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Whether a client may write the member.
pub(super) fn is_written(property: &Property) -> bool {
    property.meaning != Meaning::ReadOnly
}

/// The dotted paths below `properties` for which `wanted` holds. What lies in lists and maps has none.
pub(super) fn paths(known: &'static [Property], wanted: fn(&Property) -> bool) -> Vec<Vec<&'static str>> {
    let mut found = Vec::new();
    for property in known {
        if wanted(property) {
            found.push(vec![property.name]);
        } else if let Check::Members(below) = property.check {
            found.extend(paths(below, wanted).into_iter().map(|path| [vec![property.name], path].concat()));
        }
    }
    found
}

/// Takes away, at every depth, what only the server writes and what nobody knows: a client put it back, or said null. Words
/// of a list get the case in which they are declared.
fn strip(check: &Check, value: &mut Value) {
    match (check, value) {
        (Check::Members(known), Value::Object(map)) => strip_members(known, map),
        (Check::Each(check, _), Value::Array(list)) => list.iter_mut().for_each(|entry| strip(check, entry)),
        (Check::Named(check, _), Value::Object(map)) => {
            map.retain(|_, entry| !entry.is_null());
            map.values_mut().for_each(|entry| strip(check, entry));
        }
        (Check::Shapes(chooser, _), Value::Object(map)) => {
            let chosen = check.chosen(map).unwrap_or_default();
            strip_known(&[*chooser].into_iter().chain(chosen).collect::<Vec<_>>(), map);
        }
        (Check::OneOf(words), Value::String(text)) => {
            if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                *text = (*word).to_owned();
            }
        }
        _ => {}
    }
}

/// [`strip`] for the members of an object.
pub(super) fn strip_members(known: &'static [Property], map: &mut Map<String, Value>) {
    strip_known(&known.iter().collect::<Vec<_>>(), map);
}

fn strip_known(known: &[&'static Property], map: &mut Map<String, Value>) {
    map.retain(|name, value| {
        !value.is_null() && known.iter().any(|property| property.name == name && is_written(property))
    });
    for property in known {
        if let Some(value) = map.get_mut(property.name) {
            strip(&property.check, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_check_takes_what_it_says_and_nothing_else() {
        const INNER: Check = Check::Bool;
        const WORD: Property = acted("word", Check::OneOf(&["On"]));
        let checks: [(Check, Value, Value); 12] = [
            (Check::Texts(&["a"]), json!(["a"]), json!([])),
            (Check::Bool, json!(true), json!("true")),
            (Check::Integer(1, 3), json!(3), json!(4)),
            (Check::Text(2), json!("éé"), json!("abc")),
            (Check::Matches(|text| text == "x", "an x"), json!("x"), json!(1)),
            (Check::OneOf(&["On", "Off"]), json!("ON"), json!("Maybe")),
            (Check::Object(10), json!({"a": 1}), json!({"a": "0123456789"})),
            (Check::Members(&[]), json!({}), json!([])),
            (Check::Each(&INNER, 1), json!([true]), json!([true, true])),
            (Check::Shapes(&WORD, &[("On", &[])]), json!({"word": "Off"}), json!("On")),
            (Check::Named(&INNER, 1), json!({"a": true}), json!({"a": true, "b": true})),
            (Check::Off, json!({"a": [], "b": false, "c": {"d": ""}}), json!({"a": [], "b": {"c": 0}})),
        ];
        for (check, good, bad) in checks {
            assert_eq!(check.broken(&good), None, "{good}");
            assert!(check.broken(&bad).is_some_and(|rule| rule.starts_with("is ")), "{bad}");
        }
    }
}
