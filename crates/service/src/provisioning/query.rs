//! The text of a query of the service API: all of a collection, page by page.

use super::enrollments::bad;
use ferrohub_model::error::{Error, Result};
use serde_json::Value;

/// Refuses a query that asks for less than all of `collection`, or in an order: it would be answered wrongly.
pub(super) fn refuse_condition(body: Option<&Value>, collection: &str) -> Result<()> {
    let Some(body) = body else { return Ok(()) };
    let text = body
        .get("query")
        .map_or_else(|| body.to_string(), |query| query.as_str().map_or_else(|| query.to_string(), str::to_owned))
        .to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    // The CLI sends the text of a dictionary, of which only the query is looked at.
    let Some(start) = words.iter().position(|word| word.ends_with("select")) else {
        return match words.contains(&"where") {
            true => Err(not_all(collection)),
            false => Ok(()),
        };
    };
    let plain = |word: &&str| word.trim_end_matches(|c: char| "'\"}])".contains(c)).to_owned();
    let rest: Vec<String> = words[start + 1..].iter().map(plain).filter(|word| !word.is_empty()).collect();
    match rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["*"] => Ok(()),
        ["*", "from", of] if collection.is_empty() || of.eq_ignore_ascii_case(collection) => Ok(()),
        _ => Err(not_all(collection)),
    }
}

fn not_all(collection: &str) -> Error {
    let from = if collection.is_empty() { String::new() } else { format!(" FROM {collection}") };
    bad(format!(
        "A query of something else, with a condition, an order or a choice of members is not built; query all: SELECT *{from}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_clis_mangled_query_is_tolerated_and_a_condition_is_not() {
        let mangled = json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"});
        for body in [
            None,
            Some(&mangled),
            Some(&json!({"query": "SELECT * FROM enrollmentGroups"})),
            Some(&json!({"query": "select * from ENROLLMENTGROUPS"})),
            Some(&json!(null)),
            Some(&json!([1])),
        ] {
            assert!(refuse_condition(body, "enrollmentGroups").is_ok(), "{body:?}");
        }
        for less in [
            "SELECT * FROM enrollmentGroups WHERE a = 1",
            "select deviceId from enrollmentGroups",
            "SELECT * FROM enrollmentGroups ORDER BY a",
            "SELECT TOP 3 * FROM enrollmentGroups",
        ] {
            let error = refuse_condition(Some(&json!({ "query": less })), "enrollmentGroups").unwrap_err();
            assert_eq!(error.numeric_code(), 400_004, "{less}");
        }
        let mangled = json!({"query": "{'query': 'SELECT * FROM x WHERE a = 1'}"});
        assert!(refuse_condition(Some(&mangled), "x").is_err());
        let other = refuse_condition(Some(&json!({"query": "SELECT * FROM enrollments"})), "enrollmentGroups");
        assert!(other.unwrap_err().message.contains("SELECT * FROM enrollmentGroups"), "of another collection");
    }
}
