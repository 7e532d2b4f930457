//! Results that are made of many documents each: groups and aggregates.

use super::mark::{Mark, Ranked, directions};
use super::scan::Scan;
use super::{Found, Run, eval, too_long};
use crate::tables::DEVICES;
use ferrohub_model::device::{argument_invalid, devices_of, modules_of};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{HUB_QUERY_GROUP_BYTES, HUB_QUERY_GROUPS, HUB_QUERY_PAGE_BYTES, HUB_QUERY_TIME};
use ferrohub_store::prefix_end;
use ferrohub_wire::iothub_query::{Aggregate, By, Item, Projected, Query, Source};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A page of the results.
pub(super) async fn run(run: &Run<'_>) -> Result<Found> {
    let groups = match counted(run).await? {
        Some(groups) => groups,
        None => gathered(run).await?,
    };
    let directions = directions(run.query);
    let before = run.mark.as_ref().map(|mark| mark.ranked(&directions));
    let mut ranked: Vec<(Ranked, Group)> = Vec::with_capacity(groups.len());
    for (name, group) in groups {
        let place = Ranked::new(keys(run.query, &group), name, &directions);
        if before.as_ref().is_none_or(|before| place > *before) {
            ranked.push((place, group));
        }
    }
    ranked.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    // A group's values may stand in many entries, so results are made only as the page takes them.
    let (mut items, mut bytes) = (Vec::new(), 0);
    for (_, group) in &ranked {
        if items.len() == run.limit || bytes >= HUB_QUERY_PAGE_BYTES {
            break;
        }
        let item = group.shown(run.query);
        bytes += eval::size(&item);
        items.push(item);
    }
    let last = ranked.get(items.len().saturating_sub(1)).filter(|_| items.len() < ranked.len());
    let mark: Option<Mark> = last.map(|(place, _)| place.mark());
    Ok(Found { items, mark })
}

/// Groups by their names: a hash of the values that they have in common, and these.
type Groups = BTreeMap<String, Group>;

/// What is known of the documents that have the same values.
struct Group {
    values: Vec<Option<Value>>,
    /// One for each entry of the list after SELECT.
    gathered: Vec<Gathered>,
}

/// How many devices or modules there are is counted without looking at them.
async fn counted(run: &Run<'_>) -> Result<Option<Groups>> {
    let query = run.query;
    let only_counts = query.items().iter().all(|item| item.shows == Projected::Aggregate(Aggregate::Count, None));
    if query.condition.is_some() || !query.groups.is_empty() || !only_counts {
        return Ok(None);
    }
    let start = match query.source {
        Source::Modules => modules_of(run.hub.uid, None),
        Source::Devices | Source::Jobs => devices_of(run.hub.uid),
    };
    let end = prefix_end(&start).ok_or_else(|| Error::internal("a prefix of places has no end"))?;
    let count = run.platform.store.count_between(&DEVICES, "place", &start, &end).await?;
    let gathered = query.items().iter().map(|_| Gathered { count, ..Gathered::default() }).collect();
    let values = Vec::new();
    Ok(Some(BTreeMap::from([(name(&values), Group { values, gathered })])))
}

async fn gathered(run: &Run<'_>) -> Result<Groups> {
    let query = run.query;
    let fresh = || query.items().iter().map(|_| Gathered::default()).collect();
    let mut groups = Groups::new();
    if query.groups.is_empty() {
        // Of nothing at all there still is a count.
        groups.insert(name(&[]), Group { values: Vec::new(), gathered: fresh() });
    }
    let mut held = 0;
    let mut scan = Scan::of(run, None, HUB_QUERY_TIME);
    while let Some(documents) = scan.next().await? {
        for document in documents {
            if !query.condition.as_ref().is_none_or(|condition| eval::holds(condition, &document.value)) {
                continue;
            }
            let values: Vec<_> = query.groups.iter().map(|group| eval::value(group, &document.value)).collect();
            let bytes: usize = values.iter().flatten().map(|value| eval::size(value)).sum();
            let values: Vec<Option<Value>> = values.into_iter().map(plain).collect();
            let name = name(&values);
            if groups.len() >= HUB_QUERY_GROUPS && !groups.contains_key(&name) {
                return Err(argument_invalid(format!(
                    "The query has more than {HUB_QUERY_GROUPS} groups; narrow it with WHERE, or group by something that fewer devices differ in."
                )));
            }
            let group = groups.entry(name).or_insert_with(|| {
                held += bytes + query.items().len() * size_of::<Gathered>();
                Group { values, gathered: fresh() }
            });
            for (item, gathered) in query.items().iter().zip(&mut group.gathered) {
                if let Projected::Aggregate(aggregate, expression) = &item.shows {
                    let value = expression.as_ref().map(|expression| eval::value(expression, &document.value));
                    held += gathered.add(*aggregate, value);
                }
            }
            if held > HUB_QUERY_GROUP_BYTES {
                return Err(argument_invalid(format!(
                    "The groups of the query hold more than {} MB; narrow it with WHERE, or group by something shorter.",
                    HUB_QUERY_GROUP_BYTES / (1024 * 1024)
                )));
            }
        }
        if scan.is_over() {
            return Err(too_long());
        }
    }
    Ok(groups)
}

/// A value as it groups: 3 and 3.0 are the same.
fn plain(value: eval::Given<'_>) -> Option<Value> {
    match value?.into_owned() {
        Value::Number(number) if number.is_f64() => number.as_f64().and_then(eval::number),
        value => Some(value),
    }
}

/// The name of a group, of one length whatever its values are.
fn name(values: &[Option<Value>]) -> String {
    let text = values.iter().map(|value| Value::Array(value.iter().cloned().collect())).collect::<Value>().to_string();
    let hashed = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &text).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", hashed(0), hashed(1))
}

impl Group {
    /// The value of the entry of the list with this index.
    fn result(&self, query: &Query, index: usize) -> Option<Value> {
        match &query.items()[index].shows {
            Projected::Aggregate(aggregate, _) => self.gathered[index].result(*aggregate),
            Projected::Value(expression) => {
                let group = query.groups.iter().position(|group| group == expression);
                group.and_then(|group| self.values.get(group).cloned().flatten())
            }
        }
    }

    fn shown(&self, query: &Query) -> Value {
        let named = |(index, item): (usize, &Item)| Some((item.name.clone(), self.result(query, index)?));
        Value::Object(query.items().iter().enumerate().filter_map(named).collect::<Map<_, _>>())
    }
}

fn keys(query: &Query, group: &Group) -> Vec<Option<Value>> {
    let value = |by: &By| match by {
        By::Item(index) => group.result(query, *index),
        By::Group(index) => group.values.get(*index).cloned().flatten(),
        By::Value(_) => None,
    };
    query.order.iter().map(|order| eval::order_key(value(&order.by).map(Cow::Owned))).collect()
}

/// What one aggregate has seen so far.
#[derive(Default)]
struct Gathered {
    count: u64,
    /// The sum of numbers, exactly while all are whole and it fits.
    whole: Option<i64>,
    sum: f64,
    extreme: Option<Value>,
}

impl Gathered {
    /// Adds a document; `value` is `None` where the aggregate has no expression. Says how many bytes it keeps of it.
    fn add(&mut self, aggregate: Aggregate, value: Option<eval::Given<'_>>) -> usize {
        let Some(value) = value else {
            self.count += 1;
            return 0;
        };
        let Some(value) = value else { return 0 };
        match aggregate {
            Aggregate::Count => self.count += 1,
            Aggregate::Sum | Aggregate::Average => {
                let Some(number) = value.as_f64() else { return 0 };
                let so_far = if self.count == 0 { Some(0) } else { self.whole };
                self.whole = so_far.zip(value.as_i64()).and_then(|(sum, number)| sum.checked_add(number));
                self.sum += number;
                self.count += 1;
            }
            Aggregate::Least | Aggregate::Greatest => {
                if value.is_object() || value.is_array() {
                    return 0;
                }
                let order = |known: &Value| eval::in_order(Some(value.as_ref()), Some(known));
                let better = match (&self.extreme, aggregate) {
                    (None, _) => true,
                    (Some(known), Aggregate::Least) => order(known).is_lt(),
                    (Some(known), _) => order(known).is_gt(),
                };
                if better {
                    // What it replaces is small too: of an extreme that grows with each device only the growth is counted.
                    let bytes = eval::size(&value).saturating_sub(self.extreme.as_ref().map_or(0, eval::size));
                    self.extreme = Some(value.into_owned());
                    return bytes;
                }
            }
        }
        0
    }

    #[expect(clippy::cast_precision_loss, reason = "devices of a hub are far fewer than 2^53")]
    fn result(&self, aggregate: Aggregate) -> Option<Value> {
        match aggregate {
            Aggregate::Count => Some(self.count.into()),
            Aggregate::Sum if self.count == 0 => Some(0.into()),
            Aggregate::Sum => self.whole.map(Value::from).or_else(|| eval::number(self.sum)),
            Aggregate::Average if self.count == 0 => None,
            Aggregate::Average => eval::number(self.sum / self.count as f64),
            Aggregate::Least | Aggregate::Greatest => self.extreme.clone(),
        }
    }
}
