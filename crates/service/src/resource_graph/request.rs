//! The body of a request: a query, the scopes that it is about, and how the answer is wanted.

use crate::arm::{ArmRequest, query};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

/// The api-versions of the provider.
pub(super) const VERSIONS: &[&str] = &[
    "2018-09-01-preview",
    "2019-04-01",
    "2020-04-01-preview",
    "2021-03-01",
    "2021-06-01-preview",
    "2022-10-01",
    "2024-04-01",
];
/// Rows of a page at most, and where nothing is said (Resource Graph: 1000).
const PAGE: usize = 1000;
/// Facets of a request: ours.
const FACETS: usize = 10;
/// Rows of a facet where nothing is said (Resource Graph: 10).
const FACET_ROWS: usize = 10;

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: String,
    /// Subscriptions, in lower case; `None` is everything that the caller may read.
    pub(super) subscriptions: Option<Vec<String>>,
    pub(super) management_groups: Vec<String>,
    pub(super) skip: u64,
    pub(super) top: usize,
    /// The id of the last row of the page before.
    pub(super) after: Option<String>,
    /// Whether rows are lists below a list of columns.
    pub(super) as_table: bool,
    pub(super) facets: Vec<Facet>,
}

/// How often the values of an expression occur in what a query finds.
#[derive(Debug)]
pub(super) struct Facet {
    pub(super) expression: String,
    filter: String,
    order: String,
    pub(super) top: usize,
}

impl Facet {
    /// The query of the facet.
    pub(super) fn query(&self, query: &str) -> String {
        let filter = match self.filter.as_str() {
            "" => String::new(),
            filter => format!("| where {filter}\n"),
        };
        format!(
            "{}\n{filter}| summarize ['count'] = count() by {}\n| order by {}",
            query.trim_end().trim_end_matches(';'),
            self.expression,
            self.order
        )
    }
}

fn invalid(path: &str, message: impl Into<String>) -> Error {
    Error::invalid(message).with_target(path)
}

impl Asked {
    /// Reads a request.
    ///
    /// # Errors
    /// `BadRequest` naming the member that is wrong.
    pub(super) fn read(request: &ArmRequest) -> Result<Self> {
        let version = query::version_text(request)?;
        if !VERSIONS.contains(&version) {
            let shown: String = version.chars().take(40).collect();
            return Err(Error::invalid(format!(
                "No registered resource provider found for location 'global' and API version '{shown}' for type 'resources'. The supported api-versions are '{}'. The supported locations are 'global'.",
                VERSIONS.join(", ")
            ))
            .with_code("NoRegisteredProviderFound"));
        }
        let body = request.body.as_ref().and_then(Value::as_object);
        let body = body.ok_or_else(|| invalid("query", "The body is an object with the 'query'."))?;
        known(body, "", &["query", "subscriptions", "managementGroups", "options", "facets"])?;
        let query = body.get("query").and_then(Value::as_str).filter(|query| !query.trim().is_empty());
        let query = query.ok_or_else(|| invalid("query", "The 'query' is missing: a text in KQL."))?.to_owned();
        let empty = Map::new();
        let options = match body.get("options") {
            None | Some(Value::Null) => &empty,
            Some(options) => options.as_object().ok_or_else(|| invalid("options", "'options' is an object."))?,
        };
        let subscriptions = texts(body, "subscriptions")?;
        let subscriptions = subscriptions.map(|all| all.iter().map(|one| one.to_lowercase()).collect());
        let mut asked = Self {
            query,
            subscriptions,
            management_groups: texts(body, "managementGroups")?.unwrap_or_default(),
            skip: 0,
            top: PAGE,
            after: None,
            as_table: version == "2018-09-01-preview" || version == "2019-04-01",
            facets: facets(body)?,
        };
        asked.options(options)?;
        Ok(asked)
    }

    fn options(&mut self, options: &Map<String, Value>) -> Result<()> {
        const KNOWN: &[&str] =
            &["$top", "$skip", "$skipToken", "resultFormat", "allowPartialScopes", "authorizationScopeFilter"];
        known(options, "options.", KNOWN)?;
        let number = |name: &str| match options.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(invalid(&format!("options.{name}"), format!("'{name}' is a whole number from 0 on."))),
            },
        };
        if let Some(top) = number("$top")? {
            let top = usize::try_from(top).ok().filter(|top| (1..=PAGE).contains(top));
            self.top = top.ok_or_else(|| invalid("options.$top", format!("'$top' is a number from 1 to {PAGE}.")))?;
        }
        self.skip = number("$skip")?.unwrap_or(0);
        match options.get("resultFormat").and_then(Value::as_str) {
            None => {}
            Some(format) if format.eq_ignore_ascii_case("table") => self.as_table = true,
            Some(format) if format.eq_ignore_ascii_case("objectArray") => self.as_table = false,
            Some(_) => {
                return Err(invalid("options.resultFormat", "'resultFormat' is one of 'objectArray' and 'table'."));
            }
        }
        if let Some(filter) = options.get("authorizationScopeFilter").and_then(Value::as_str)
            && !["AtScopeAndBelow", "AtScopeAndAbove", "AtScopeExact", "AtScopeAboveAndBelow"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(filter))
        {
            return Err(invalid(
                "options.authorizationScopeFilter",
                "'authorizationScopeFilter' is one of 'AtScopeAndBelow', 'AtScopeAndAbove', 'AtScopeExact' and 'AtScopeAboveAndBelow'.",
            ));
        }
        match options.get("$skipToken") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(token)) if token.is_empty() => Ok(()),
            Some(Value::String(token)) => {
                let (skip, after) = self.read_token(token).ok_or_else(|| {
                    invalid(
                        "options.$skipToken",
                        "The '$skipToken' is not one of this query's; ask for the first page again.",
                    )
                })?;
                (self.skip, self.after) = (skip, Some(after));
                Ok(())
            }
            Some(_) => Err(invalid("options.$skipToken", "'$skipToken' is a text.")),
        }
    }

    /// What goes on behind so many rows, of which the last one has this id; it fits this query only.
    pub(super) fn token(&self, behind: u64, last: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{behind} {:016x} {last}", self.mark()))
    }

    fn read_token(&self, token: &str) -> Option<(u64, String)> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(3, ' ');
        let (behind, mark, last) = (parts.next()?, parts.next()?, parts.next()?);
        (u64::from_str_radix(mark, 16).ok()? == self.mark()).then_some((behind.parse().ok()?, last.to_owned()))
    }

    /// Tells queries apart; two processes agree on it.
    fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.query, &self.subscriptions).hash(&mut hasher);
        hasher.finish()
    }
}

/// Refuses a member that is not one of `names`.
fn known(map: &Map<String, Value>, path: &str, names: &[&str]) -> Result<()> {
    match map.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => {
            let shown: String = name.chars().take(60).collect();
            let message = format!("There is no member '{path}{shown}'; there are {}.", names.join(", "));
            Err(invalid(&format!("{path}{shown}"), message))
        }
        None => Ok(()),
    }
}

/// A list of texts; `None` where it is missing or empty.
fn texts(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let all: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            let all = all.filter(|all| all.len() <= PAGE);
            let all = all.ok_or_else(|| invalid(name, format!("'{name}' is a list of at most {PAGE} texts.")))?;
            Ok(Some(all).filter(|all| !all.is_empty()))
        }
        Some(_) => Err(invalid(name, format!("'{name}' is a list of texts."))),
    }
}

fn facets(body: &Map<String, Value>) -> Result<Vec<Facet>> {
    let items = match body.get("facets") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= FACETS => items,
        Some(_) => return Err(invalid("facets", format!("'facets' is a list of at most {FACETS} facets."))),
    };
    items.iter().map(facet).collect()
}

fn facet(item: &Value) -> Result<Facet> {
    let wrong = |message: &str| invalid("facets", message);
    let map = item.as_object().ok_or_else(|| wrong("A facet is an object with an 'expression'."))?;
    known(map, "facets.", &["expression", "options"])?;
    let expression = map.get("expression").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let expression = expression.ok_or_else(|| wrong("A facet has an 'expression'."))?.to_owned();
    let empty = Map::new();
    let options = map.get("options").and_then(Value::as_object).unwrap_or(&empty);
    known(options, "facets.options.", &["sortBy", "sortOrder", "filter", "$top"])?;
    let text = |name: &str| options.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let by = match text("sortBy").as_str() {
        "" | "count" => "['count']".to_owned(),
        other => other.to_owned(),
    };
    let direction = match text("sortOrder").to_lowercase().as_str() {
        "" | "desc" => "desc",
        "asc" => "asc",
        _ => return Err(wrong("The 'sortOrder' of a facet is 'asc' or 'desc'.")),
    };
    let top = match options.get("$top") {
        None | Some(Value::Null) => FACET_ROWS,
        Some(top) => {
            let top = top.as_u64().and_then(|top| usize::try_from(top).ok()).filter(|top| (1..=PAGE).contains(top));
            top.ok_or_else(|| wrong("The '$top' of a facet is a number from 1 to 1000."))?
        }
    };
    Ok(Facet { expression, filter: text("filter"), order: format!("{by} {direction}"), top })
}
