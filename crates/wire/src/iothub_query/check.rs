//! From the query as it is written to the one that is run: names are resolved, entries get theirs, groups fit.

use super::parser::{Written, WrittenItem};
use super::refused;
use super::tree::{By, Expression, Item, Order, Projected, Query, Select, Source, Step};
use ferrohub_model::error::Result;
use ferrohub_model::limits::{HUB_QUERY_GROUP_BY, HUB_QUERY_ITEMS, HUB_QUERY_ORDERS};

/// Members that twins have, and those below them that IoT Hub names: found ignoring case.
const MEMBERS: &[(&str, &[&str])] = &[
    ("deviceId", &[]),
    ("moduleId", &[]),
    ("managedBy", &[]),
    ("modelId", &[]),
    ("etag", &[]),
    ("deviceEtag", &[]),
    ("status", &[]),
    ("statusReason", &[]),
    ("statusUpdateTime", &[]),
    ("connectionState", &[]),
    ("lastActivityTime", &[]),
    ("cloudToDeviceMessageCount", &[]),
    ("authenticationType", &[]),
    ("x509Thumbprint", &["primaryThumbprint", "secondaryThumbprint"]),
    ("version", &[]),
    ("tags", &[]),
    ("properties", &["desired", "reported"]),
    ("capabilities", &["iotEdge"]),
    ("deviceScope", &[]),
    ("parentScopes", &[]),
    ("configurations", &[]),
];

pub(super) fn checked(written: Written) -> Result<Query> {
    let Written { top, items, source, alias, condition, groups, order } = written;
    let names = Names { source, alias };
    let condition = condition.map(|condition| names.resolved(condition));
    let groups: Vec<(Expression, usize)> = groups.into_iter().map(|(group, at)| (names.resolved(group), at)).collect();
    for (number, (group, at)) in groups.iter().enumerate() {
        if number == HUB_QUERY_GROUP_BY {
            return Err(refused(*at, &format!("results are grouped by {HUB_QUERY_GROUP_BY} values at most")));
        }
        if groups[..number].iter().any(|(known, _)| known == group) {
            return Err(refused(*at, "GROUP BY has this value already"));
        }
    }
    let positions: Vec<usize> = items.iter().flatten().map(|item| item.at).collect();
    let select = match items {
        None => Select::All,
        Some(items) => Select::Items(named(items, &names)?),
    };
    let mut query = Query {
        top,
        select,
        source,
        condition,
        groups: groups.iter().map(|(group, _)| group.clone()).collect(),
        order: Vec::new(),
    };
    if let Some(at) = positions.get(HUB_QUERY_ITEMS) {
        return Err(refused(*at, &format!("a query shows {HUB_QUERY_ITEMS} values at most")));
    }
    if query.is_grouped() {
        fits_groups(&query, &positions, groups.first().map(|(_, at)| *at))?;
    }
    if let Some((_, _, at)) = order.get(HUB_QUERY_ORDERS) {
        return Err(refused(*at, &format!("results are put in order by {HUB_QUERY_ORDERS} values at most")));
    }
    query.order = order
        .into_iter()
        .map(|(by, descending, at)| Ok(Order { by: names.ordered(&query, by, at)?, descending }))
        .collect::<Result<_>>()?;
    Ok(query)
}

/// Entries with their names: what is said, the last member of a path, or `$1` and so on.
fn named(items: Vec<WrittenItem>, names: &Names) -> Result<Vec<Item>> {
    let mut named: Vec<Item> = Vec::with_capacity(items.len());
    let mut nameless = 0;
    for WrittenItem { aggregate, value, alias, at } in items {
        let value = value.map(|value| names.resolved(value));
        let member = match (&value, aggregate) {
            (Some(Expression::Path(steps)), None) => steps.iter().rev().find_map(|step| match step {
                Step::Name(name) => Some(name.clone()),
                Step::Index(_) => None,
            }),
            _ => None,
        };
        let name = alias.or(member).unwrap_or_else(|| {
            nameless += 1;
            format!("${nameless}")
        });
        if named.iter().any(|item| item.name == name) {
            return Err(refused(at, &format!("two entries are called '{name}'; name one with AS")));
        }
        let shows = match (aggregate, value) {
            (Some(aggregate), value) => Projected::Aggregate(aggregate, value),
            (None, Some(value)) => Projected::Value(value),
            (None, None) => return Err(refused(at, "a value is expected")),
        };
        named.push(Item { name, shows });
    }
    Ok(named)
}

fn fits_groups(query: &Query, positions: &[usize], first_group: Option<usize>) -> Result<()> {
    if query.select == Select::All {
        return Err(refused(first_group.unwrap_or(0), "with GROUP BY, name what is to be shown instead of '*'"));
    }
    for (item, at) in query.items().iter().zip(positions) {
        if let Projected::Value(value) = &item.shows
            && !query.groups.contains(value)
        {
            let why = format!("'{}' differs within a group; put it into GROUP BY or into an aggregate", item.name);
            return Err(refused(*at, &why));
        }
    }
    Ok(())
}

struct Names {
    source: Source,
    alias: Option<String>,
}

impl Names {
    /// The expression with paths from the document on, in the spelling of its members.
    fn resolved(&self, mut expression: Expression) -> Expression {
        self.resolve(&mut expression);
        expression
    }

    fn resolve(&self, expression: &mut Expression) {
        match expression {
            Expression::Literal(_) => {}
            Expression::Path(steps) => {
                steps.drain(..self.prefix(steps));
                spelled(steps);
            }
            Expression::List(below) | Expression::And(below) | Expression::Or(below) | Expression::Call(_, below) => {
                below.iter_mut().for_each(|one| self.resolve(one))
            }
            Expression::Not(one) | Expression::Negative(one) => self.resolve(one),
            Expression::Binary(_, left, right) => {
                self.resolve(left);
                self.resolve(right);
            }
            Expression::In(one, list, _) => {
                self.resolve(one);
                list.iter_mut().for_each(|one| self.resolve(one));
            }
        }
    }

    /// Steps that name the collection and not a member: `devices.`, `devices.modules.`, or the alias.
    fn prefix(&self, steps: &[Step]) -> usize {
        let is = |index: usize, word: &str| matches!(steps.get(index), Some(Step::Name(name)) if name.eq_ignore_ascii_case(word));
        if let (Some(alias), Some(Step::Name(first))) = (&self.alias, steps.first())
            && alias == first
        {
            return 1;
        }
        match self.source {
            Source::Modules if is(0, "devices") && is(1, "modules") => 2,
            Source::Jobs if is(0, "devices") && is(1, "jobs") => 2,
            _ if is(0, "devices") => 1,
            _ => 0,
        }
    }

    /// What an entry of ORDER BY means: an entry of the list by its name, a group, or a value of the document.
    fn ordered(&self, query: &Query, by: Expression, at: usize) -> Result<By> {
        let alias = match &by {
            Expression::Path(steps) => match steps.as_slice() {
                [Step::Name(name)] => query.items().iter().position(|item| item.name == *name),
                _ => None,
            },
            _ => None,
        };
        if !query.is_grouped() {
            return Ok(match alias.map(|index| &query.items()[index].shows) {
                Some(Projected::Value(value)) => By::Value(value.clone()),
                _ => By::Value(self.resolved(by)),
            });
        }
        if let Some(index) = alias {
            return Ok(By::Item(index));
        }
        let by = self.resolved(by);
        let group = query.groups.iter().position(|group| *group == by);
        group.map(By::Group).ok_or_else(|| {
            refused(at, "groups are put in order by what stands in GROUP BY or by the name of an entry after SELECT")
        })
    }
}

/// Gives known members the spelling that documents have.
fn spelled(steps: &mut [Step]) {
    let Some(Step::Name(first)) = steps.first_mut() else { return };
    let Some((member, below)) = MEMBERS.iter().find(|(member, _)| member.eq_ignore_ascii_case(first)) else { return };
    (*member).clone_into(first);
    if let Some(Step::Name(second)) = steps.get_mut(1)
        && let Some(member) = below.iter().find(|member| member.eq_ignore_ascii_case(second))
    {
        (*member).clone_into(second);
    }
}
