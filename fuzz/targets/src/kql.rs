//! Queries of Resource Graph.

use crate::utf8;
use ferrohub_wire::kql::{self, ColumnInfo, Limits, Page, Part, Schema, Source, TableInfo, Type, Value};
use std::sync::atomic::AtomicBool;

const COLUMNS: &[ColumnInfo] = &[
    ColumnInfo { name: "id", kind: Type::String },
    ColumnInfo { name: "name", kind: Type::String },
    ColumnInfo { name: "location", kind: Type::String },
    ColumnInfo { name: "size", kind: Type::Long },
    ColumnInfo { name: "properties", kind: Type::Dynamic },
    ColumnInfo { name: "tags", kind: Type::Dynamic },
];
const PLACES: &[ColumnInfo] =
    &[ColumnInfo { name: "location", kind: Type::String }, ColumnInfo { name: "country", kind: Type::String }];
const SCHEMA: Schema =
    Schema { tables: &[TableInfo { name: "Things", columns: COLUMNS }, TableInfo { name: "places", columns: PLACES }] };

/// Three rows that say the same in all their columns of one type.
struct Rows(&'static [ColumnInfo]);

impl Part for Rows {
    fn rows(&self) -> usize {
        3
    }

    fn column(&self, row: usize, column: usize) -> Value<'_> {
        match self.0[column].kind {
            Type::Long => Value::Long(i64::try_from(row).unwrap_or(0)),
            Type::Dynamic => Value::of_json(&serde_json::json!({"a": [1, "x", null], "b": row})),
            _ => Value::text(["", "Pump-1", "übel"][row]),
        }
    }

    fn path(&self, row: usize, path: usize) -> Value<'_> {
        if path.is_multiple_of(2) { self.column(row, 0) } else { Value::Null }
    }
}

struct Tables([Rows; 2]);

impl Source for Tables {
    fn parts(&self, table: usize) -> Vec<&dyn Part> {
        vec![&self.0[table]]
    }
}

pub(crate) fn kql(data: &[u8]) {
    let Some(text) = utf8(data) else { return };
    let stop = AtomicBool::new(false);
    match kql::plan(text, &SCHEMA, (1_800_000_000, 0), &stop) {
        Ok(plan) => {
            let limits = Limits { stop: &stop, memory_bytes: 1 << 20, threads: 1 };
            let answer = plan.run(&Tables([Rows(COLUMNS), Rows(PLACES)]), Page::new(0, 5), limits);
            if let Ok(answer) = answer {
                assert!(answer.rows.len() <= 5 && answer.rows.len() as u64 <= answer.total);
                assert!(answer.rows.iter().all(|row| row.len() == plan.columns().len()));
            }
        }
        Err(fault) => {
            assert!(!fault.message.is_empty());
            assert!(fault.offset.is_none_or(|offset| offset <= text.len()));
        }
    }
}
