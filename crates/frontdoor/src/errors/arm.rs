//! Azure Resource Manager's error body (reference: resource-manager.md, sections 3 and 9).

use ferrohub_model::error::{Error, ErrorKind};
use serde_json::{Value, json};

/// `{"error":{"code","message","target"?,"details"?}}`.
pub(crate) fn body(error: &Error) -> Value {
    let mut inner = json!({ "code": error.code, "message": error.message });
    if let Some(target) = &error.target {
        inner["target"] = json!(target);
    }
    if !error.details.is_empty() {
        inner["details"] =
            error.details.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect();
    }
    let details = inner.get_mut("details").and_then(Value::as_array_mut);
    if let (Some(place), Some(last)) = (&error.place, details.and_then(|all| all.last_mut())) {
        last["line"] = json!(place.line);
        last["characterPositionInLine"] = json!(place.character);
        last["token"] = json!(place.token);
    }
    json!({ "error": inner })
}

/// `WWW-Authenticate` of a 401: clients find the tenant of a subscription in it.
pub(crate) fn challenge(error: &Error, base_url: &str, tenant: &str) -> Option<String> {
    if error.kind != ErrorKind::Unauthenticated {
        return None;
    }
    // A quoted-string of RFC 9110 ends at the first quote, and a header line at the first control character.
    let text: String = error
        .message
        .chars()
        .map(|c| if c == '"' || c == '\\' { '\'' } else { c })
        .filter(|c| (' '..='~').contains(c))
        .collect();
    Some(format!(
        r#"Bearer authorization_uri="{base_url}/{tenant}", error="invalid_token", error_description="{text}""#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_model::error::QueryPlace;

    #[test]
    fn code_message_target_and_details() {
        let mut error = Error::invalid_property("properties.subject", "No.");
        assert_eq!(
            body(&error),
            json!({"error": {"code": "InvalidPropertyValue", "message": "No.", "target": "properties.subject"}})
        );
        error.details.push(("X".into(), "y".into()));
        assert_eq!(body(&error)["error"]["details"], json!([{"code": "X", "message": "y"}]));
    }

    #[test]
    fn a_place_in_a_query_stands_in_the_last_detail() {
        let mut error = Error::invalid("No.");
        error.details = vec![("InvalidQuery".into(), "x".into()), ("ParserFailure".into(), "y".into())];
        error.place = Some(Box::new(QueryPlace { line: 2, character: 3, token: "|".into() }));
        assert_eq!(
            body(&error)["error"]["details"],
            json!([
                {"code": "InvalidQuery", "message": "x"},
                {"code": "ParserFailure", "message": "y", "line": 2, "characterPositionInLine": 3, "token": "|"}
            ])
        );
    }

    #[test]
    fn context_stays_private() {
        assert!(!body(&Error::internal("disk on fire")).to_string().contains("fire"));
    }

    #[test]
    fn the_challenge_cannot_be_broken_out_of() {
        let error = Error::unauthenticated("a \"quoted\"\r\nthing\\");
        let text = challenge(&error, "https://localhost:8443", "t").unwrap();
        assert_eq!(
            text,
            r#"Bearer authorization_uri="https://localhost:8443/t", error="invalid_token", error_description="a 'quoted'thing'""#
        );
        assert_eq!(challenge(&Error::forbidden("x"), "", ""), None);
    }
}
