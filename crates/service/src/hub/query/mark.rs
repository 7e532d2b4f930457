//! Where a page ended: behind a document, or behind a place in an order. Written as a continuation, which is for the same query
//! at the same hub only.

use super::eval::in_order;
use crate::hub::HubRef;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::device::argument_invalid;
use ferrohub_model::error::Result;
use ferrohub_model::limits::HUB_QUERY_ORDERS;
use ferrohub_wire::iothub_query::Query;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Longest name that a document or a group can have here: ours (two ids and a dash).
const NAME_BYTES: usize = 300;

/// Where a page ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// Results of all pages so far.
    pub(super) shown: u64,
    /// Name of the last document, or of the last group.
    pub(super) after: String,
    /// What its place in the order is by; `None` for an undefined value.
    keys: Vec<Option<Value>>,
}

/// The continuation's text, before base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Hash of the query and its hub.
    q: u64,
    n: u64,
    a: String,
    /// Lists of one value, or of none for an undefined one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    k: Vec<Vec<Value>>,
}

impl Mark {
    /// Behind the document with this name.
    pub(super) fn behind(after: String) -> Self {
        Self { shown: 0, after, keys: Vec::new() }
    }

    /// Reads the continuation of a query; an empty one is none.
    ///
    /// # Errors
    /// `ArgumentInvalid` (400004) for one that is not of this query.
    pub(super) fn read(text: Option<&str>, query: &str, hub: &HubRef) -> Result<Option<Self>> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let written = bytes.and_then(|bytes| serde_json::from_slice::<Written>(&bytes).ok());
        let sound = |written: &Written| {
            written.q == hash(query, hub)
                && (1..=NAME_BYTES).contains(&written.a.len())
                && !written.a.contains('\0')
                && written.k.len() <= HUB_QUERY_ORDERS
        };
        let Some(written) = written.filter(sound) else {
            return Err(argument_invalid(
                "The x-ms-continuation is none of this query; send the one that came with the page before, or start again without it.",
            ));
        };
        let keys = written.k.into_iter().map(|key| key.into_iter().next()).collect();
        Ok(Some(Self { shown: written.n, after: written.a, keys }))
    }

    /// The continuation behind which so many results were shown.
    pub(super) fn written(self, shown: u64, query: &str, hub: &HubRef) -> String {
        let k = self.keys.into_iter().map(|key| key.into_iter().collect()).collect();
        let written = Written { q: hash(query, hub), n: shown, a: self.after, k };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&written).unwrap_or_default())
    }

    /// The place of the mark in the order.
    pub(super) fn ranked(&self, directions: &Arc<[bool]>) -> Ranked {
        Ranked::new(self.keys.clone(), self.after.clone(), directions)
    }
}

fn hash(query: &str, hub: &HubRef) -> u64 {
    let mut hasher = DefaultHasher::new();
    (query, hub.uid).hash(&mut hasher);
    hasher.finish()
}

/// Whether each value of the order goes down.
pub(super) fn directions(query: &Query) -> Arc<[bool]> {
    query.order.iter().map(|order| order.descending).collect()
}

/// A place in the order: by the values, then by name.
pub(super) struct Ranked {
    keys: Vec<Option<Value>>,
    pub(super) name: String,
    descending: Arc<[bool]>,
}

impl Ranked {
    pub(super) fn new(keys: Vec<Option<Value>>, name: String, descending: &Arc<[bool]>) -> Self {
        Self { keys, name, descending: Arc::clone(descending) }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { shown: 0, after: self.name.clone(), keys: self.keys.clone() }
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        for (index, descending) in self.descending.iter().enumerate() {
            let key = |ranked: &'_ Self| ranked.keys.get(index).cloned().flatten();
            let order = in_order(key(self).as_ref(), key(other).as_ref());
            let order = if *descending { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        self.name.cmp(&other.name)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
