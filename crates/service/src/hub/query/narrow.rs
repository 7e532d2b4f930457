//! What of a query the store is asked: which rows its condition can be about, and which parts of a document it looks at.

use ferrohub_model::device::{devices_of, modules_of};
use ferrohub_model::device_id::check_device_id;
use ferrohub_wire::iothub_query::{Expression, Function, Literal, Operator, Query, Select, Source, Step};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Rows that lie together, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Range {
    /// The row with this place.
    One(String),
    /// The rows whose places begin so.
    Below(String),
}

/// Which parts of a document a query looks at. What it does not look at may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// What the twin holds.
    pub(super) twin: bool,
    /// Whether it is connected, and when it was heard.
    pub(super) connection: bool,
    /// Where it stands in the hierarchy.
    pub(super) scopes: bool,
}

/// Device ids that a condition can be about.
enum Ids {
    Any,
    Some(BTreeSet<String>),
    Beginning(String),
}

/// The rows of `hub` that a query can be about, in the order of their places.
pub(super) fn ranges(query: &Query, hub: Uuid) -> Vec<Range> {
    let modules = query.source == Source::Modules;
    let all = if modules { modules_of(hub, None) } else { devices_of(hub) };
    // An id that is none is no device's.
    let legal = |id: &String| check_device_id(id).is_ok();
    match query.condition.as_ref().map_or(Ids::Any, ids) {
        Ids::Any => vec![Range::Below(all)],
        Ids::Beginning(prefix) if prefix.is_empty() => vec![Range::Below(all)],
        Ids::Beginning(prefix) if !legal(&prefix) => Vec::new(),
        Ids::Beginning(prefix) => vec![Range::Below(format!("{all}{prefix}"))],
        Ids::Some(ids) if modules => {
            let mut prefixes: Vec<String> = ids.into_iter().filter(legal).map(|id| format!("{all}{id}/")).collect();
            prefixes.sort_unstable();
            prefixes.into_iter().map(Range::Below).collect()
        }
        Ids::Some(ids) => ids.into_iter().filter(legal).map(|id| Range::One(format!("{all}{id}"))).collect(),
    }
}

fn ids(condition: &Expression) -> Ids {
    let text = |expression: &Expression| match expression {
        Expression::Literal(Literal::Text(text)) => Some(text.clone()),
        _ => None,
    };
    match condition {
        Expression::And(all) => {
            let mut found = Ids::Any;
            for one in all.iter().map(ids) {
                match (&found, one) {
                    (_, Ids::Any) => {}
                    (Ids::Some(_), Ids::Beginning(_)) => {}
                    (_, one) => found = one,
                }
            }
            found
        }
        Expression::Binary(Operator::Equal, left, right) => {
            let wanted = if is_id(left) {
                text(right)
            } else if is_id(right) {
                text(left)
            } else {
                None
            };
            wanted.map_or(Ids::Any, |id| Ids::Some(BTreeSet::from([id])))
        }
        Expression::In(one, list, true) if is_id(one) => {
            list.iter().map(text).collect::<Option<BTreeSet<String>>>().map_or(Ids::Any, Ids::Some)
        }
        Expression::Call(Function::StartsWith, arguments) if is_id(&arguments[0]) => {
            text(&arguments[1]).map_or(Ids::Any, Ids::Beginning)
        }
        _ => Ids::Any,
    }
}

fn is_id(expression: &Expression) -> bool {
    matches!(expression, Expression::Path(steps) if matches!(steps.as_slice(), [Step::Name(name)] if name == "deviceId"))
}

/// The parts that `query` looks at.
pub(super) fn parts(query: &Query) -> Parts {
    let whole = query.select == Select::All;
    let mut parts = Parts { twin: whole, connection: whole, scopes: whole };
    for expression in query.expressions() {
        expression.walk(&mut |one| {
            let Expression::Path(steps) = one else { return };
            match steps.first() {
                Some(Step::Name(name)) => match name.as_str() {
                    "etag" | "modelId" | "version" | "tags" | "properties" => parts.twin = true,
                    "connectionState" | "lastActivityTime" => parts.connection = true,
                    "deviceScope" | "parentScopes" => parts.scopes = true,
                    _ => {}
                },
                _ => parts = Parts { twin: true, connection: true, scopes: true },
            }
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: Uuid = Uuid::nil();

    fn narrowed(query: &str) -> Vec<String> {
        let (devices, modules) = (devices_of(HUB), modules_of(HUB, None));
        let bare =
            |place: String| place.strip_prefix(&devices).or_else(|| place.strip_prefix(&modules)).unwrap().to_owned();
        let shown = |range| match range {
            Range::One(place) => bare(place),
            Range::Below(place) => format!("{}*", bare(place)),
        };
        ranges(&Query::parse(query).unwrap(), HUB).into_iter().map(shown).collect()
    }

    #[test]
    fn conditions_on_ids_narrow_and_others_do_not() {
        for (condition, wanted) in [
            ("deviceId = 'b'", &["b"][..]),
            ("'b' = devices.deviceid AND tags.x = 1", &["b"]),
            ("deviceId IN ['b', 'a', 'b', 'a b']", &["a", "b"]),
            ("STARTSWITH(deviceId, 'pu')", &["pu*"]),
            ("STARTSWITH(deviceId, 'pu') AND deviceId = 'b'", &["b"]),
            ("deviceId = 'b' AND STARTSWITH(deviceId, 'pu')", &["b"]),
            ("STARTSWITH(deviceId, '')", &["*"]),
            ("STARTSWITH(deviceId, '/')", &[]),
            ("deviceId = ''", &[]),
            ("deviceId = 'b' OR tags.x = 1", &["*"]),
            ("NOT deviceId = 'b'", &["*"]),
            ("deviceId NIN ['b']", &["*"]),
            ("deviceId IN ['b', tags.x]", &["*"]),
            ("tags.deviceId = 'b'", &["*"]),
            ("deviceId != 'b'", &["*"]),
        ] {
            assert_eq!(narrowed(&format!("SELECT * FROM devices WHERE {condition}")), wanted, "{condition}");
        }
        assert_eq!(narrowed("SELECT * FROM devices.modules"), ["*"]);
        assert_eq!(
            narrowed("SELECT * FROM devices.modules WHERE deviceId IN ['a', 'a-b']"),
            ["a-b/*", "a/*"],
            "as places lie"
        );
        assert_eq!(narrowed("SELECT * FROM devices.modules WHERE STARTSWITH(deviceId, 'a')"), ["a*"]);
    }

    #[test]
    fn only_what_is_looked_at_is_read() {
        let of = |query: &str| {
            let Parts { twin, connection, scopes } = parts(&Query::parse(query).unwrap());
            (twin, connection, scopes)
        };
        assert_eq!(of("SELECT * FROM devices"), (true, true, true));
        assert_eq!(of("SELECT deviceId FROM devices WHERE status = 'enabled'"), (false, false, false));
        assert_eq!(of("SELECT COUNT() FROM devices WHERE tags.x = 1"), (true, false, false));
        assert_eq!(of("SELECT deviceId FROM devices ORDER BY LastActivityTime"), (false, true, false));
        assert_eq!(of("SELECT COUNT() FROM devices GROUP BY deviceScope"), (false, false, true));
        assert_eq!(of("SELECT d FROM devices d"), (true, true, true));
    }
}
