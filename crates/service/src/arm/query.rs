//! The options of a query (`$filter`, `$top`, ...): a list obeys an option, or refuses it; none is ignored.

use super::request::ArmRequest;
use crate::platform::Platform;
use crate::resources::tag;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::{Error, Result};

/// What every list knows.
pub(super) const PAGED: &[&str] = &["$top", "$skipToken"];
/// What a list with a filter knows.
pub(super) const FILTERED: &[&str] = &["$filter", "$top", "$skipToken"];

/// The api-version of a request, as it was sent.
///
/// # Errors
/// `MissingApiVersionParameter`.
pub(crate) fn version_text(request: &ArmRequest) -> Result<&str> {
    request.query("api-version").filter(|version| !version.is_empty()).ok_or_else(|| {
        Error::invalid("The api-version query parameter (?api-version=) is required for all requests.")
            .with_code("MissingApiVersionParameter")
    })
}

/// The api-version of a request, which it must have.
///
/// # Errors
/// `MissingApiVersionParameter`; what is wrong with its form.
pub(crate) fn version(request: &ArmRequest) -> Result<ApiVersion> {
    ApiVersion::parse(version_text(request)?)
}

/// ARM's own paths take the api-versions of its own types, and they take one.
///
/// # Errors
/// As [`version`]; `InvalidApiVersionParameter` for one that groups do not have.
pub(super) fn check_version(platform: &Platform, request: &ArmRequest) -> Result<()> {
    let version = version(request)?;
    platform.types.tagged(tag::RESOURCE_GROUP).map_or(Ok(()), |own| own.view(&version, None).map(drop))
}

/// The same for what may be asked without one.
///
/// # Errors
/// As [`check_version`].
pub(super) fn check_given_version(platform: &Platform, request: &ArmRequest) -> Result<()> {
    if request.query("api-version").is_some_and(|version| !version.is_empty()) {
        return check_version(platform, request);
    }
    Ok(())
}

/// Refuses every option that is not one of `known`.
///
/// # Errors
/// `InvalidQueryParameter` naming the option and what is known.
pub(crate) fn check(request: &ArmRequest, known: &[&str]) -> Result<()> {
    let foreign = |name: &str| name.starts_with('$') && !known.iter().any(|option| option.eq_ignore_ascii_case(name));
    let Some((name, _)) = request.query.iter().find(|(name, _)| foreign(name)) else { return Ok(()) };
    let shown: String = name.chars().take(40).collect();
    let what = match known {
        [] => "it takes none".to_owned(),
        known => format!("there are {}", known.join(", ")),
    };
    Err(Error::invalid(format!("The query option '{shown}' is not served here; {what}."))
        .with_code("InvalidQueryParameter")
        .with_target(shown))
}

/// Refuses every member of `$expand` that is not one of `known`; gives those that are asked for.
///
/// # Errors
/// `InvalidQueryParameter`.
pub(crate) fn expand(request: &ArmRequest, known: &'static [&'static str]) -> Result<Vec<&'static str>> {
    let text = request.query("$expand").unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            known.iter().copied().find(|name| name.eq_ignore_ascii_case(part)).ok_or_else(|| {
                let shown: String = part.chars().take(60).collect();
                Error::invalid(format!("The $expand '{shown}' is not served here; there are {}.", known.join(", ")))
                    .with_code("InvalidQueryParameter")
                    .with_target("$expand")
            })
        })
        .collect()
}

/// How many items a page has at most, as `$top` wants.
///
/// # Errors
/// `InvalidQueryParameter` for what is no number from 1 on.
pub(crate) fn top(request: &ArmRequest) -> Result<Option<usize>> {
    let Some(text) = request.query("$top").filter(|text| !text.is_empty()) else { return Ok(None) };
    let top = text.parse::<u32>().ok().filter(|top| *top > 0);
    let top = top.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Error::invalid(format!("The $top '{shown}' is not a whole number from 1 on."))
            .with_code("InvalidQueryParameter")
            .with_target("$top")
    })?;
    Ok(Some(usize::try_from(top).unwrap_or(usize::MAX)))
}

/// The page that is asked for of a list that is whole in memory, with the link to the next one.
///
/// # Errors
/// As [`top`]; `InvalidSkipToken`.
pub(super) fn page<T>(request: &ArmRequest, all: Vec<T>) -> Result<(Vec<T>, Option<String>)> {
    page_of(request, all, usize::MAX)
}

/// The same with at most `most` items, whatever `$top` says.
///
/// # Errors
/// As [`page`].
pub(super) fn page_of<T>(request: &ArmRequest, mut all: Vec<T>, most: usize) -> Result<(Vec<T>, Option<String>)> {
    let start = match request.query("$skipToken").filter(|token| !token.is_empty()) {
        Some(token) => decode_token(token)?.parse::<usize>().map_err(|_| {
            Error::invalid("The $skipToken is not one of this list's; start the list anew.")
                .with_code("InvalidSkipToken")
        })?,
        None => 0,
    };
    let end = start.saturating_add(top(request)?.unwrap_or(most).min(most)).min(all.len());
    let next = (end < all.len()).then(|| next_link(request, &end.to_string()));
    all.truncate(end);
    Ok((all.split_off(start.min(all.len())), next))
}

/// The link to the page behind `after`, with the query as it was sent.
pub(crate) fn next_link(request: &ArmRequest, after: &str) -> String {
    let mut query: Vec<String> = request
        .query
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("$skipToken"))
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    query.push(format!("$skipToken={}", encode_token(after)));
    format!("{}{}?{}", request.base_url, request.path, query.join("&"))
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The token of the page behind `after`.
pub(super) fn encode_token(after: &str) -> String {
    URL_SAFE_NO_PAD.encode(after)
}

/// What stands in the token of a page.
///
/// # Errors
/// `InvalidSkipToken`.
pub(crate) fn decode_token(token: &str) -> Result<String> {
    URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Error::invalid("The $skipToken is not one of ours; start the list anew.").with_code("InvalidSkipToken")
    })
}
