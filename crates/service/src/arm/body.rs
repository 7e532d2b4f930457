//! A body against the declaration of its type: what is known, what it may be, what is not built.

use super::context::SubContext;
use super::declaration::TypeDecl;
use super::schema::{Check, Meaning, Property, is_written};
use super::view::{self, View};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};
use serde_json::{Map, Value};

/// The body of one request.
pub(super) struct Body<'a> {
    pub(super) decl: &'static TypeDecl,
    pub(super) view: &'static View,
    pub(super) version: &'a ApiVersion,
}

/// The body of an action, checked against its members.
///
/// # Errors
/// As [`Body::check`].
pub(super) fn action<'a>(cx: &SubContext<'a>, known: &'static [Property]) -> Result<&'a Map<String, Value>> {
    let Some(Value::Object(sent)) = cx.body else {
        return Err(Error::invalid(
            "The request content was invalid and could not be deserialized: 'a JSON object is expected'.",
        )
        .with_code("InvalidRequestContent"));
    };
    let version = ApiVersion::parse(cx.request.query("api-version").unwrap_or_default())?;
    let body = Body { decl: cx.decl, view: cx.view, version: &version };
    body.members(&known.iter().collect::<Vec<_>>(), sent, "")?;
    Ok(sent)
}

impl Body<'_> {
    /// Checks every member of a body, at every depth. `body` is in the newest shape.
    ///
    /// # Errors
    /// `InvalidRequestContent` for a member that the type, or this api-version of it, does not know; `InvalidPropertyValue`
    /// for a value against its rule; 501 for what is not built. All name the path.
    pub(super) fn check(&self, body: &Value) -> Result<()> {
        let Value::Object(sent) = body else { return Ok(()) };
        self.members(&self.decl.root_members(), sent, "")?;
        let known: Vec<&Property> = self.decl.properties.iter().collect();
        match sent.get("properties") {
            Some(Value::Object(properties)) => self.members(&known, properties, "properties")?,
            None | Some(Value::Null) => self.members(&known, &Map::new(), "properties")?,
            Some(_) => return Err(Error::invalid_property("properties", "'properties' must be a JSON object.")),
        }
        self.view.hidden.iter().try_for_each(|path| self.check_hidden(path, body))
    }

    fn members(&self, known: &[&Property], sent: &Map<String, Value>, above: &str) -> Result<()> {
        for (name, value) in sent.iter().filter(|(_, value)| !value.is_null()) {
            let path = below(above, name);
            match known.iter().find(|property| property.name == name) {
                Some(property) => self.value(property, value, &path)?,
                None => return Err(self.unknown(known, name, &path)),
            }
        }
        let missing = |property: &&&Property| {
            property.required
                && sent.get(property.name).is_none_or(Value::is_null)
                && view::shows(self.view, &below(above, property.name))
        };
        match known.iter().find(missing) {
            Some(property) => Err(required(property, above)),
            None => Ok(()),
        }
    }

    fn value(&self, property: &Property, value: &Value, path: &str) -> Result<()> {
        let rule = property.check.broken(value);
        match property.meaning {
            Meaning::ReadOnly => Ok(()),
            Meaning::Unbuilt(why) if rule.is_some() || self.below(&property.check, value, path).is_err() => {
                Err(Error::not_implemented(format!(
                    "'{path}' cannot be set: {why} Leave it out; the only value taken is: {}.",
                    property.check.words()
                ))
                .with_target(path))
            }
            _ => match rule {
                Some(rule) => Err(Error::invalid_property(path, format!("'{}' {rule}.", property.name))),
                None => self.below(&property.check, value, path),
            },
        }
    }

    fn below(&self, check: &Check, value: &Value, path: &str) -> Result<()> {
        match (check, value) {
            (Check::Members(known), Value::Object(sent)) => self.members(&known.iter().collect::<Vec<_>>(), sent, path),
            (Check::Shapes(chooser, _), Value::Object(sent)) => match check.chosen(sent) {
                Some(members) => self.members(&[*chooser].into_iter().chain(members).collect::<Vec<_>>(), sent, path),
                None => match sent.get(chooser.name).filter(|word| !word.is_null()) {
                    Some(word) => self.value(chooser, word, &format!("{path}.{}", chooser.name)),
                    None => Err(required(chooser, path)),
                },
            },
            (Check::Each(check, _), Value::Array(list)) => list
                .iter()
                .enumerate()
                .try_for_each(|(index, entry)| self.entry(check, entry, format!("{path}[{index}]"))),
            (Check::Named(check, _), Value::Object(map)) => map
                .iter()
                .filter(|(_, entry)| !entry.is_null())
                .try_for_each(|(name, entry)| self.entry(check, entry, format!("{path}.{}", shown(name)))),
            _ => Ok(()),
        }
    }

    fn entry(&self, check: &Check, value: &Value, path: String) -> Result<()> {
        match check.broken(value) {
            Some(rule) => Err(Error::invalid_property(path, format!("An entry here {rule}."))),
            None => self.below(check, value, &path),
        }
    }

    /// A member that other api-versions know. Tags and location are kept, whatever the shape shows.
    fn check_hidden(&self, path: &str, body: &Value) -> Result<()> {
        let steps: Vec<&str> = path.split('.').collect();
        let written = match steps.split_first() {
            Some((&"properties", below)) => find(self.decl.properties, below).is_none_or(is_written),
            Some((first, _)) => *first == "identity",
            None => false,
        };
        if !written || !view::says(body, &steps) {
            return Ok(());
        }
        let knows = |version: &&&str| {
            ApiVersion::parse(version)
                .and_then(|version| self.decl.view(&version, None))
                .is_ok_and(|view| view::shows(view, path))
        };
        let knowing: Vec<&str> = self.decl.family.iter().filter(knows).copied().collect();
        // What no api-version shows is written only, as keys are.
        if knowing.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "The api-version {} of '{}' does not know '{path}', so it cannot be written with it. These do: {}.",
            self.version,
            self.decl.full(),
            knowing.join(", ")
        ))
        .with_code("InvalidRequestContent")
        .with_target(path))
    }

    fn unknown(&self, known: &[&Property], name: &str, path: &str) -> Error {
        let name = shown(name);
        let same = known.iter().find(|property| property.name.eq_ignore_ascii_case(&name));
        let hint = match same {
            Some(property) => format!("It is written '{}'.", property.name),
            None => {
                let written = known.iter().filter(|p| is_written(p));
                let names: Vec<String> = written.map(|p| format!("'{}'", p.name)).collect();
                match names.is_empty() {
                    true => "Nothing can be set here; leave it out.".into(),
                    false => format!("Known here are: {}. Leave it out.", names.join(", ")),
                }
            }
        };
        let shown_path: String = path.chars().take(300).collect();
        Error::invalid(format!(
            "The request content was invalid: resources of type '{}' have no property '{name}' (path '{shown_path}'). {hint}",
            self.decl.full()
        ))
        .with_code("InvalidRequestContent")
        .with_target(shown_path)
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn below(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

/// The error for a member that is missing.
fn required(property: &Property, above: &str) -> Error {
    let path = below(above, property.name);
    let rule = property.check.words();
    let rule = if rule.is_empty() { String::new() } else { format!(" It is {rule}.") };
    Error::invalid(format!("The request content was invalid: the required property '{path}' is missing.{rule}"))
        .with_code("InvalidRequestContent")
        .with_target(path)
}

/// The member at a dotted path, where `*` stands for any entry of a list or map.
fn find(known: &'static [Property], steps: &[&str]) -> Option<&'static Property> {
    let (first, mut rest) = steps.split_first()?;
    let property = known.iter().find(|property| property.name == *first)?;
    let mut check = &property.check;
    while let (Check::Each(inner, _) | Check::Named(inner, _), Some((&"*", below))) = (check, rest.split_first()) {
        (check, rest) = (*inner, below);
    }
    if rest.is_empty() { Some(property) } else { find(check.members(), rest) }
}
