//! The body of an answer.

use super::request::{Asked, Facet};
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::kql::{Answer, Plan};
use serde_json::{Map, Value, json};

/// The answer to a query, in the form that was asked for.
pub(super) fn body(asked: &Asked, plan: &Plan, answer: Answer) -> Value {
    let count = answer.rows.len();
    let behind = answer.skipped.saturating_add(count as u64);
    let more = behind < answer.total && count > 0;
    let mut body = json!({
        "totalRecords": answer.total,
        "count": count,
        // Whether rows are left out for which no page can be asked.
        "resultTruncated": if more && !plan.pages { "true" } else { "false" },
    });
    let id = plan.columns().iter().position(|column| column.name == "id").filter(|_| more && plan.pages);
    if let Some(last) = id.and_then(|id| answer.rows.last()?.get(id)?.as_str()) {
        body["$skipToken"] = asked.token(behind, last).into();
    }
    body["facets"] = json!([]);
    body["data"] = match asked.as_table {
        true => {
            let columns = plan.columns().iter();
            let columns = columns.map(|column| json!({"name": column.name, "type": column.kind.column_type()}));
            json!({"columns": columns.collect::<Vec<_>>(), "rows": answer.rows})
        }
        false => objects(plan, answer),
    };
    body
}

fn objects(plan: &Plan, answer: Answer) -> Value {
    let object = |row: Vec<Value>| {
        let names = plan.columns().iter().map(|column| column.name.clone());
        Value::Object(names.zip(row).collect::<Map<_, _>>())
    };
    Value::Array(answer.rows.into_iter().map(object).collect())
}

/// The answer to a facet; one that is wrong spoils no other.
pub(super) fn facet(facet: &Facet, answered: Result<(Plan, Answer)>) -> Value {
    match answered {
        Ok((plan, answer)) => json!({
            "resultType": "FacetResult",
            "expression": facet.expression,
            "totalRecords": answer.total,
            "count": answer.rows.len(),
            "data": objects(&plan, answer),
        }),
        Err(error) => json!({
            "resultType": "FacetError",
            "expression": facet.expression,
            "errors": errors(&error),
        }),
    }
}

fn errors(error: &Error) -> Vec<Value> {
    let one = |(code, message): &(String, String)| json!({"code": code, "message": message});
    match error.details.as_slice() {
        [] => vec![json!({"code": error.code, "message": error.message})],
        details => details.iter().map(one).collect(),
    }
}
