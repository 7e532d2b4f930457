//! `ferrohub openapi`: what the server serves as an OpenAPI document, made from the tables that the routers use and the
//! declarations of the resource types. Azure's own documents say what clients send; this one says what is here.

use crate::output::print;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::arm::declaration::{IdentityRule, TypeDecl};
use ferrohub_service::arm::schema::{Check, Meaning, Property};
use ferrohub_service::arm::types::Types;
use ferrohub_service::route::{RouteInfo, Wants};
use serde_json::{Map, Value, json};

/// The version of the specification.
const OPENAPI: &str = "3.0.3";
/// Where a path may have any number of segments, one stands for all.
const ANY_PLACE: &str = "subscriptions/{subscription}/providers/Microsoft.Devices/locations/{location}";
/// What an extension may stand on.
const ANY_SCOPE: &str = "subscriptions/{subscription}/resourceGroups/{resourceGroup}";
/// Options of lists.
const OPTIONS: [&str; 5] = ["$filter", "$top", "$skipToken", "$expand", "$select"];
/// Resource Manager's own version, for what is no resource type.
const OWN_VERSION: &str = "2022-12-01";

/// Prints the document.
///
/// # Errors
/// When it does not serialize, or nobody reads it.
pub(crate) fn run() -> Result<()> {
    let text = serde_json::to_string_pretty(&document())
        .map_err(|error| Error::internal(format!("the OpenAPI document: {error}")))?;
    print(&text)
}

fn document() -> Value {
    let types = Types::built_in();
    let mut paths: Map<String, Value> = Map::new();
    // A row for any method is one of what is not built: it is there to be refused by name.
    let served = ferrohub_frontdoor::routes().into_iter().filter(|route| route.method != "*");
    for route in served.filter(|route| !matches!(route.plane, "pki" | "health" | "websocket" | "portal" | "at")) {
        let path = path_of(&route.path);
        let operation = operation(&types, &route, &path);
        if let Some(item) = paths.entry(path).or_insert_with(|| json!({})).as_object_mut() {
            item.entry(route.method.to_ascii_lowercase()).or_insert(operation);
        }
    }
    json!({
        "openapi": OPENAPI,
        "info": {
            "title": "Ferrohub",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Each tag is a plane, which has a host of its own: management., login., graph., and the names of hubs and provisioning services."
        },
        "paths": paths,
        "components": {"securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "signature": {"type": "apiKey", "in": "header", "name": "Authorization"}
        }}
    })
}

fn path_of(pattern: &str) -> String {
    let path = pattern.replace("/**/", &format!("/{ANY_PLACE}/")).replace("{scope}", ANY_SCOPE);
    // One that ends in any number of segments stands for what is right there.
    path.trim_end_matches("/**").to_owned()
}

fn operation(types: &Types, route: &RouteInfo, path: &str) -> Value {
    let decl = types
        .all()
        .iter()
        .copied()
        .find(|decl| decl.routes().iter().any(|own| own.path == route.path && own.method == route.method));
    let mut operation = json!({
        "tags": [route.plane],
        "parameters": parameters(route, path, decl),
        "responses": {"default": {"description": "An answer of the service, or its error."}}
    });
    let security = match route.wants {
        Wants::Nothing | Wants::ClientSecret => None,
        Wants::Principal | Wants::Right => Some(json!([{"bearer": []}])),
        Wants::PolicyOrBearer | Wants::Known => Some(json!([{"signature": []}, {"bearer": []}])),
        Wants::Device => Some(json!([{"signature": []}])),
    };
    if let Some(security) = security {
        operation["security"] = security;
    }
    let media =
        if route.wants == Wants::ClientSecret { "application/x-www-form-urlencoded" } else { "application/json" };
    if matches!(route.method.as_str(), "PUT" | "PATCH" | "POST") {
        let (schema, required) = body(route, decl);
        operation["requestBody"] = json!({"required": required, "content": {media: {"schema": schema}}});
    }
    operation
}

fn parameters(route: &RouteInfo, path: &str, decl: Option<&TypeDecl>) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let named = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 128}});
    let mut all: Vec<Value> = names.map(named).collect();
    if route.plane != "login" && route.plane != "graph" {
        let schema = match (decl.map(TypeDecl::versions), route.plane) {
            (Some(versions), _) if !versions.is_empty() => json!({"type": "string", "enum": versions}),
            (_, "arm") => json!({"type": "string", "enum": [OWN_VERSION]}),
            _ => json!({"type": "string"}),
        };
        all.push(json!({"name": "api-version", "in": "query", "required": route.plane == "arm", "schema": schema}));
    }
    if route.method == "GET" {
        let option = |name| json!({"name": name, "in": "query", "schema": {"type": "string", "maxLength": 200}});
        all.extend(OPTIONS.map(option));
    } else {
        let condition = |name| json!({"name": name, "in": "header", "schema": {"type": "string", "maxLength": 80}});
        all.extend(["If-Match", "If-None-Match"].map(condition));
    }
    all
}

/// What may be sent, and whether something must.
fn body(route: &RouteInfo, decl: Option<&TypeDecl>) -> (Value, bool) {
    let Some(decl) = decl.filter(|_| matches!(route.method.as_str(), "PUT" | "PATCH")) else {
        return (json!({"type": "object"}), false);
    };
    let resource = decl.routes().into_iter().find(|own| own.method == "PUT").map(|own| own.path);
    if resource.as_deref() != Some(&route.path) {
        return (json!({"type": "object"}), false);
    }
    let mut members = Map::new();
    if decl.tracked {
        members.insert("location".into(), json!({"type": "string", "maxLength": 64}));
        let tag = json!({"type": "string", "maxLength": 256});
        members.insert("tags".into(), json!({"type": "object", "additionalProperties": tag, "maxProperties": 50}));
    }
    if decl.identity != IdentityRule::No {
        let words = ["None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned"];
        members.insert(
            "identity".into(),
            json!({"type": "object", "properties": {"type": {"type": "string", "enum": words}}}),
        );
    }
    if decl.sku {
        let sku = json!({"name": {"type": "string"}, "capacity": {"type": "integer"}});
        members.insert("sku".into(), json!({"type": "object", "properties": sku}));
    }
    for property in decl.beside {
        members.insert(property.name.into(), schema_of(property));
    }
    members.insert("properties".into(), object(decl.properties));
    (json!({"type": "object", "properties": members}), true)
}

fn object(properties: &[Property]) -> Value {
    let members: Map<String, Value> =
        properties.iter().map(|property| (property.name.to_owned(), schema_of(property))).collect();
    json!({"type": "object", "properties": members, "additionalProperties": false})
}

fn schema_of(property: &Property) -> Value {
    let mut schema = of_check(&property.check);
    if let (Meaning::ReadOnly, Some(map)) = (property.meaning, schema.as_object_mut()) {
        map.insert("readOnly".into(), true.into());
    }
    schema
}

/// A check as a schema; what a type reads in its own way may be anything.
fn of_check(check: &Check) -> Value {
    match check {
        Check::Bool => json!({"type": "boolean"}),
        Check::Integer(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Check::Text(most) => json!({"type": "string", "maxLength": most}),
        Check::Matches(_, words) => json!({"type": "string", "description": words}),
        Check::OneOf(known) => json!({"type": "string", "enum": known}),
        Check::Texts(texts) => json!({"type": "array", "items": {"type": "string", "enum": texts}}),
        Check::Object(_) => json!({"type": "object"}),
        Check::Members(members) => object(members),
        Check::Each(each, most) => json!({"type": "array", "items": of_check(each), "maxItems": most}),
        Check::Named(each, most) => {
            json!({"type": "object", "additionalProperties": of_check(each), "maxProperties": most})
        }
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_route_is_in_the_document() {
        let document = document();
        for route in ferrohub_frontdoor::routes() {
            let plane = !matches!(route.plane, "pki" | "health" | "websocket" | "portal" | "at");
            if route.method != "*" && plane {
                let item = &document["paths"][path_of(&route.path)][route.method.to_ascii_lowercase()];
                assert!(item.is_object(), "{} {}", route.method, route.path);
            }
        }
        let namespace = "/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.DeviceRegistry/namespaces/";
        let paths = document["paths"].as_object().unwrap();
        let of_namespace = |path: &str| path.strip_prefix(namespace).is_some_and(|name| !name.contains('/'));
        let (_, item) = paths.iter().find(|(path, _)| of_namespace(path)).unwrap();
        let schema = &item["put"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
        assert!(schema["properties"]["properties"]["messaging"].is_object(), "{schema}");
        assert!(schema["location"].is_object() && schema["identity"].is_object(), "{schema}");
        assert!(paths.keys().all(|path| !path.contains('*')));
    }
}
