//! Whether a document says what was written, and which members documents have said.

use ferrohub_service::arm::declaration::TypeDecl;
use ferrohub_service::arm::schema::{Check, Meaning, Property};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Members that are only kept and have a value all the same where they were left out, as in Azure.
const FILLED_IN: [&str; 4] = [".sku.name", ".sku.capacity", "properties.features", "properties.enableDataResidency"];

/// What an id that names something is called by, so that all its ids are one.
pub(super) const RESOURCE: &str = "the resource ";

/// What of `sent` is not in `read`, and what was left out and is there, where a client may write it.
pub(super) fn differences(
    (roots, properties): &(Vec<&'static Property>, &'static [Property]),
    sent: &Value,
    read: &Value,
    path: &str,
    found: &mut Vec<String>,
) {
    members_differ(roots.iter().copied(), sent, read, path, found);
    members_differ(properties.iter(), &sent["properties"], &read["properties"], "properties", found);
}

fn members_differ(
    known: impl Iterator<Item = &'static Property>,
    sent: &Value,
    read: &Value,
    path: &str,
    found: &mut Vec<String>,
) {
    for property in known.filter(|p| p.meaning != Meaning::ReadOnly && p.name != "properties") {
        let at = format!("{path}.{}", property.name);
        match (&sent[property.name], &read[property.name]) {
            (Value::Null, Value::Null) => {}
            (Value::Null, shown) => {
                // Where there are no tags, none are listed.
                let none = property.name == "tags" && shown.as_object().is_some_and(Map::is_empty);
                let none = none || FILLED_IN.contains(&at.as_str());
                if matches!(property.meaning, Meaning::Descriptive(_)) && !property.create_only && !none {
                    found.push(format!("{at} was left out and is {shown}"));
                }
            }
            (said, Value::Null) if property.meaning == Meaning::Acted && is_empty(said) => {}
            (said, shown) => value_differs(&property.check, said, shown, &at, found),
        }
    }
}

fn value_differs(check: &'static Check, sent: &Value, read: &Value, path: &str, found: &mut Vec<String>) {
    match (check, sent, read) {
        (Check::Members(known), Value::Object(_), Value::Object(_)) => {
            members_differ(known.iter(), sent, read, path, found);
        }
        (Check::Shapes(chooser, shapes), Value::Object(_), Value::Object(_)) => {
            members_differ([*chooser].into_iter(), sent, read, path, found);
            let chosen = shapes.iter().find(|(word, _)| sent[chooser.name] == **word);
            members_differ(chosen.iter().flat_map(|(_, known)| known.iter()), sent, read, path, found);
        }
        (Check::Each(inner, _), Value::Array(said), Value::Array(shown)) if said.len() == shown.len() => {
            for (index, (said, shown)) in said.iter().zip(shown).enumerate() {
                value_differs(inner, said, shown, &format!("{path}[{index}]"), found);
            }
        }
        (Check::Named(inner, _), Value::Object(said), Value::Object(shown)) => {
            for (name, said) in said {
                value_differs(inner, said, shown.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"), found);
            }
            // What was linked from its own side is shown here, and taken away there.
            let link = |entry: &Value| entry["resourceId"].as_str().is_some_and(|id| id.starts_with(RESOURCE));
            let more = shown.iter().filter(|(name, entry)| !said.contains_key(*name) && !link(entry));
            found.extend(more.map(|(name, entry)| format!("{path}.{name} was left out and is {entry}")));
        }
        _ if sent == read => {}
        _ => found.push(format!("{path} was written as {sent} and is {read}")),
    }
}

/// What asks for nothing, so that a type that acts on it need not keep it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Which members documents have had, by type, with how many values.
#[derive(Default)]
pub(super) struct Written(BTreeMap<(String, String), BTreeSet<String>>);

impl Written {
    pub(super) fn note(&mut self, decl: &'static TypeDecl, doc: &Value) {
        for (path, property) in decl.members() {
            let mut values = Vec::new();
            at(doc, &path, &mut values);
            if property.meaning != Meaning::ReadOnly {
                let seen = self.0.entry((decl.full(), path)).or_default();
                seen.extend(values.into_iter().map(ToString::to_string));
            }
        }
    }

    /// Members of `properties` that are only kept and that no document said.
    pub(super) fn missed(&self, decl: &'static TypeDecl) -> Vec<String> {
        let kept = decl.properties.iter().filter(|p| matches!(p.meaning, Meaning::Descriptive(_)));
        let paths = kept.map(|p| format!("properties.{}", p.name));
        paths.filter(|path| self.values(decl, path) == 0).map(|path| format!("{} {path}", decl.full())).collect()
    }

    /// How many members that the product acts on were said in two ways.
    pub(super) fn acted(&self, decl: &'static TypeDecl) -> usize {
        let acted = decl.members().into_iter().filter(|(_, property)| property.meaning == Meaning::Acted);
        acted.filter(|(path, _)| self.values(decl, path) > 1).count()
    }

    fn values(&self, decl: &'static TypeDecl, path: &str) -> usize {
        self.0.get(&(decl.full(), path.to_owned())).map_or(0, BTreeSet::len)
    }
}

/// The values at a path as [`TypeDecl::members`] writes it.
fn at<'a>(doc: &'a Value, path: &str, found: &mut Vec<&'a Value>) {
    let end = path.find(['.', '[', '{']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    let entries: Vec<&Value> = match name {
        "*" => doc.as_object().into_iter().flat_map(Map::values).collect(),
        "" => vec![doc],
        _ => doc.get(name).into_iter().collect(),
    };
    for entry in entries {
        below(entry, rest, found);
    }
}

fn below<'a>(doc: &'a Value, rest: &str, found: &mut Vec<&'a Value>) {
    if rest.is_empty() {
        found.push(doc);
    } else if let Some(rest) = rest.strip_prefix("[]") {
        doc.as_array().into_iter().flatten().for_each(|entry| below(entry, rest, found));
    } else if let Some((chosen, rest)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        let (chooser, word) = chosen.split_once('=').unwrap();
        if doc[chooser] == word {
            below(doc, rest, found);
        }
    } else if let Some(rest) = rest.strip_prefix('.') {
        at(doc, rest, found);
    }
}
