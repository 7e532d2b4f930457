//! Paging of the service API: `x-ms-max-item-count` and `x-ms-continuation`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::QUERY_PAGE;
use ferrohub_store::{Page, Row};
use serde_json::Value;
use std::sync::Arc;

/// Items of a page where the client names no number: ours.
const DEFAULT_ITEMS: usize = 100;

/// Which page is wanted.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// `x-ms-max-item-count`; more than [`QUERY_PAGE`] is cut to it, 0 means the default.
    pub max_items: Option<usize>,
    /// `x-ms-continuation` of the page before.
    pub continuation: Option<String>,
}

/// A page of items.
#[derive(Debug, Clone)]
pub struct Paged {
    /// The items as the service API shows them.
    pub items: Vec<Value>,
    /// `x-ms-continuation` of the next page; `None` when this is the last one.
    pub continuation: Option<String>,
}

impl PageRequest {
    /// The store's page of rows whose keys start with `prefix`; one row more than wanted shows whether there is a next page.
    pub(super) fn of_store(&self, prefix: &str) -> Result<Page> {
        let after = match self.continuation.as_deref().filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => {
                let bytes = URL_SAFE_NO_PAD.decode(token).ok();
                let name = bytes
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .filter(|name| !name.is_empty() && !name.contains('\0'));
                let name = name.ok_or_else(|| {
                    Error::invalid("The x-ms-continuation is none of ours; start the query again without it.")
                        .with_code("ArgumentInvalid")
                        .with_iot_code(400_004)
                })?;
                Some(format!("{prefix}{name}"))
            }
        };
        Ok(Page { after, limit: self.items() + 1 })
    }

    fn items(&self) -> usize {
        self.max_items.filter(|count| *count > 0).unwrap_or(DEFAULT_ITEMS).min(QUERY_PAGE)
    }

    /// The page made of the rows that [`PageRequest::of_store`] asked for.
    pub(super) fn answer(
        &self,
        prefix: &str,
        mut rows: Vec<Arc<Row>>,
        view: impl Fn(&Row) -> Result<Value>,
    ) -> Result<Paged> {
        let more = rows.len() > self.items();
        rows.truncate(self.items());
        let last = rows.last().and_then(|row| row.key.strip_prefix(prefix)).map(|name| URL_SAFE_NO_PAD.encode(name));
        let items = rows.iter().map(|row| view(row)).collect::<Result<_>>()?;
        Ok(Paged { items, continuation: last.filter(|_| more) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_store::{Put, Table};

    static ROWS: Table = Table::new("rows", &[]);

    fn rows(count: usize) -> Vec<Arc<Row>> {
        let row = |n| Row::written(Put::new(&ROWS, format!("p/{n:03}"), Vec::new(), &n).unwrap(), 1);
        (0..count).map(|n| Arc::new(row(n))).collect()
    }

    #[test]
    fn a_continuation_leads_to_the_next_row() {
        let request = PageRequest { max_items: Some(2), continuation: None };
        assert_eq!(request.of_store("p/").unwrap().limit, 3);
        let page = request.answer("p/", rows(3), |row| Ok(row.value()?)).unwrap();
        assert_eq!(page.items, [Value::from(0), Value::from(1)]);
        let next = PageRequest { max_items: Some(2), continuation: page.continuation };
        assert_eq!(next.of_store("p/").unwrap().after.as_deref(), Some("p/001"));
        assert!(next.answer("p/", rows(2), |row| Ok(row.value()?)).unwrap().continuation.is_none());
    }

    #[test]
    fn foreign_continuations_are_refused_and_counts_are_bounded() {
        for token in ["***", "AA", "-_8"] {
            let request = PageRequest { max_items: None, continuation: Some(token.into()) };
            assert_eq!(request.of_store("p/").unwrap_err().numeric_code(), 400_004, "{token}");
        }
        let huge = PageRequest { max_items: Some(usize::MAX), continuation: Some(String::new()) };
        assert_eq!(huge.of_store("p/").unwrap(), Page { after: None, limit: QUERY_PAGE + 1 });
    }
}
