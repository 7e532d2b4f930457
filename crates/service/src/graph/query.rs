//! The options of Graph's lists: obeyed, or refused.

use super::{Answer, GraphRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::odata::{Asked, Filter, Terms};
use serde_json::{Map, Value};

/// Items of a page at most, as `$top` may ask, and without it (Graph: 999, and 100).
const TOP_MAX: usize = 999;
/// What lists know.
const OPTIONS: &[&str] = &["$filter", "$top", "$select", "$count", "$skiptoken"];

/// What is wanted of a list.
pub(super) struct List {
    /// The collection, as `@odata.context` names it.
    what: &'static str,
    filter: Option<Filter>,
    top: Option<usize>,
    start: usize,
    count: bool,
}

impl List {
    /// Reads the options of a request for the collection `what`, whose members `terms` names.
    ///
    /// # Errors
    /// `Request_UnsupportedQuery` for an option, a member or a value that is not understood.
    pub(super) fn of(request: &GraphRequest, what: &'static str, terms: &Terms) -> Result<Self> {
        let foreign =
            |name: &str| name.starts_with('$') && !OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(name));
        if let Some((name, _)) = request.query.iter().find(|(name, _)| foreign(name)) {
            let shown: String = name.chars().take(40).collect();
            return Err(unsupported(format!(
                "The query option '{shown}' is not served; there are {}.",
                OPTIONS.join(", ")
            )));
        }
        let filter = Filter::parse(option(request, "$filter").unwrap_or_default(), terms)
            .map_err(|error| error.with_code("Request_UnsupportedQuery"))?;
        let top = match option(request, "$top") {
            None => None,
            Some(text) => Some(text.parse().ok().filter(|top| (1..=TOP_MAX).contains(top)).ok_or_else(|| {
                unsupported(format!("The $top '{}' is not a whole number from 1 to {TOP_MAX}.", shown(text)))
            })?),
        };
        let start = match option(request, "$skiptoken") {
            None => 0,
            Some(token) => {
                place(token).ok_or_else(|| unsupported("The $skiptoken is not one of ours; start the list anew."))?
            }
        };
        let count = match option(request, "$count").map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(unsupported("$count is true or false.")),
        };
        Ok(Self { what, filter, top, start, count })
    }

    /// The page of `all` that is wanted.
    pub(super) fn answer(self, request: &GraphRequest, mut all: Vec<Value>) -> Result<Answer> {
        if let Some(filter) = &self.filter {
            all.retain(|view| filter.matches(&View(view)));
        }
        let total = all.len();
        let end = self.start.saturating_add(self.top.unwrap_or(TOP_MAX));
        all.truncate(end);
        let value = all.split_off(self.start.min(all.len()));
        let mut body = Map::new();
        body.insert("@odata.context".into(), format!("{}/v1.0/$metadata#{}", request.base_url, self.what).into());
        if self.count {
            body.insert("@odata.count".into(), total.into());
        }
        if end < total {
            body.insert("@odata.nextLink".into(), self.next(request, end).into());
        }
        body.insert("value".into(), Value::Array(value));
        Ok((200, Some(Value::Object(body))))
    }

    fn next(&self, request: &GraphRequest, end: usize) -> String {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let kept = request.query.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken"));
        let mut query: Vec<String> = kept.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        query.push(format!("$skiptoken={}", URL_SAFE_NO_PAD.encode(end.to_string())));
        format!("{}/v1.0/{}?{}", request.base_url, self.what, query.join("&"))
    }
}

/// The members that `$select` asks for, of an object or of every object of a list.
///
/// # Errors
/// `Request_UnsupportedQuery` for a request that reads one object and has another option.
pub(super) fn selected(request: &GraphRequest, body: Option<Value>) -> Result<Option<Value>> {
    let Some(mut body) = body else { return Ok(None) };
    let listed = body.get("value").is_some_and(Value::is_array);
    let foreign = |name: &str| name.starts_with('$') && !name.eq_ignore_ascii_case("$select");
    if request.method == "GET"
        && !listed
        && let Some((name, _)) = request.query.iter().find(|(name, _)| foreign(name))
    {
        return Err(unsupported(format!("The query option '{}' is not served here; there is $select.", shown(name))));
    }
    let Some(select) = option(request, "$select") else { return Ok(Some(body)) };
    let wanted: Vec<&str> = select.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let keep = |object: &mut Value| {
        if let Some(map) = object.as_object_mut() {
            map.retain(|name, _| name.starts_with('@') || wanted.iter().any(|word| word.eq_ignore_ascii_case(name)));
        }
    };
    match body.get_mut("value").and_then(Value::as_array_mut) {
        Some(list) => list.iter_mut().for_each(keep),
        None => keep(&mut body),
    }
    Ok(Some(body))
}

/// An option by name, ignoring case; an empty one is none.
fn option<'a>(request: &'a GraphRequest, wanted: &str) -> Option<&'a str> {
    let found = request.query.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

fn place(token: &str) -> Option<usize> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?.parse().ok()
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::invalid(message).with_code("Request_UnsupportedQuery")
}

/// An object as it is shown.
struct View<'a>(&'a Value);

impl Asked for View<'_> {
    fn values(&self, field: &str) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        };
        match self.0.get(field) {
            Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}
