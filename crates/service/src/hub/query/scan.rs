//! From rows to the documents that a query is about, so many at a time.

use super::Run;
use super::narrow::{Parts, Range, parts, ranges};
use crate::hub::{device_sessions, identity, parents};
use crate::platform::Platform;
use crate::tables::{DEVICES, TWINS};
use ferrohub_model::clock::Moment;
use ferrohub_model::device::{ConnectionView, DeviceIdentity, Scopes, devices_of, modules_of};
use ferrohub_model::error::Result;
use ferrohub_model::limits::READ_ROWS;
use ferrohub_model::twin::Twin;
use ferrohub_store::{Page, Row};
use ferrohub_wire::iothub_query::Source;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A device or a module as a query sees it.
pub(super) struct Document {
    /// Its name in the hub, by which documents lie in order: `{device id}` or `{device id}/{module id}`.
    pub(super) name: String,
    /// Its twin. What the query does not look at may be missing or anything.
    pub(super) value: Value,
    /// Bytes of its rows.
    pub(super) bytes: usize,
}

/// Documents of a hub, in the order of their names.
pub(super) struct Scan<'a> {
    platform: &'a Platform,
    parts: Parts,
    /// What places of this hub begin with.
    base: String,
    left: VecDeque<Range>,
    /// The place behind which it goes on.
    after: Option<String>,
    ends: Moment,
    /// Stands for the twin where none is looked at.
    blank: Twin,
}

impl<'a> Scan<'a> {
    /// All documents that a query can be about, behind the one called `after`; it is over after `time`.
    pub(super) fn of(run: &Run<'a>, after: Option<&str>, time: Duration) -> Self {
        let base = match run.query.source {
            Source::Modules => modules_of(run.hub.uid, None),
            Source::Devices | Source::Jobs => devices_of(run.hub.uid),
        };
        let after = after.map(|name| format!("{base}{name}"));
        let mut left: VecDeque<Range> = ranges(run.query, run.hub.uid).into();
        left.retain(|range| match range {
            Range::One(place) => after.as_ref().is_none_or(|after| place > after),
            Range::Below(_) => true,
        });
        let ends = run.platform.clock.monotonic() + time;
        Self { platform: run.platform, parts: parts(run.query), base, left, after, ends, blank: Twin::new("") }
    }

    /// The documents with these names, in their order; those that are gone are left out.
    pub(super) fn only(mut self, names: &[String]) -> Self {
        self.left = names.iter().map(|name| Range::One(format!("{}{name}", self.base))).collect();
        self
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.platform.clock.monotonic() >= self.ends
    }

    /// Some more documents; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Document>>> {
        while let Some(range) = self.left.front() {
            let rows = match range {
                Range::One(place) => {
                    let row = self.platform.store.find_one(&DEVICES, "place", place).await?;
                    self.left.pop_front();
                    row.into_iter().collect()
                }
                Range::Below(prefix) => {
                    let page = Page { after: self.after.clone(), limit: READ_ROWS };
                    let rows = self.platform.store.range(&DEVICES, "place", prefix, page).await?;
                    if rows.len() < READ_ROWS {
                        self.left.pop_front();
                    } else if let Some(last) = rows.last() {
                        self.after = last.columns.first().cloned().flatten();
                    }
                    rows
                }
            };
            if !rows.is_empty() {
                return self.documents(&rows).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn documents(&self, rows: &[Arc<Row>]) -> Result<Vec<Document>> {
        let devices = rows.iter().map(|row| identity::passing(row)).collect::<Result<Vec<_>>>()?;
        let store = self.platform.store.as_ref();
        let twins = if self.parts.twin {
            let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
            store.get_many(&TWINS, &keys).await?
        } else {
            Vec::new()
        };
        let connections = if self.parts.connection {
            device_sessions::connections(self.platform, &devices).await?
        } else {
            vec![ConnectionView::default(); devices.len()]
        };
        let mut documents = Vec::with_capacity(rows.len());
        for (index, (device, connection)) in devices.iter().zip(&connections).enumerate() {
            let scopes = self.scopes(device).await?;
            let (value, bytes) = match twins.get(index) {
                None => (self.blank.service_view(device, connection, &scopes), 0),
                // Deleted since its identity was read.
                Some(None) => continue,
                Some(Some(row)) => (row.part::<Twin>()?.service_view(device, connection, &scopes), row.text().len()),
            };
            documents.push(Document { name: device.client(), value, bytes: bytes + rows[index].text().len() });
        }
        Ok(documents)
    }

    async fn scopes(&self, device: &DeviceIdentity) -> Result<Scopes> {
        if self.parts.scopes { parents::scopes(self.platform, device).await } else { Ok(Scopes::default()) }
    }
}
