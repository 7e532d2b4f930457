//! Every route of every plane, called by everybody: by nobody, with a token that means nothing, with one of a stranger, by
//! somebody without the right, by somebody with it. The routes come from the tables that the routers use; what came back is a
//! file that is read in a review, and a route that the file does not know fails the test:
//! `INSTA_UPDATE=always cargo test -p ferrohub-frontdoor --test it sweep`.

use crate::http_client::Answer;
use crate::journey::{DPS, DPS_HOST, HUB_HOST, Plant, owner_key, put, token};
use crate::rig::Rig;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ferrohub_client::device::key;
use ferrohub_clock::SystemClock;
use ferrohub_frontdoor::routes;
use ferrohub_model::clock::Clock;
use ferrohub_service::arm::types::Types;
use ferrohub_service::route::{RouteInfo, Wants};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MANAGEMENT: &str = "https://management.azure.com";
const GRAPH: &str = "https://graph.microsoft.com";
const HUBS: &str = "https://iothubs.azure.net";
const PROVISIONING: &str = "https://azure-devices-provisioning.net";
const REGISTRY: &str = "https://deviceregistry.azure.com";
const HUB_DATA_CONTRIBUTOR: &str = "4fc6c259-987e-4a07-842e-c321cc9d413f";
const DPS_DATA_CONTRIBUTOR: &str = "dfce44e4-17b7-4bd1-a6d1-04996ec95633";
/// What asks for WebSocket.
const UPGRADE: [(&str, &str); 5] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "mqtt"),
];
const NOBODYS_ID: &str = "00000000-0000-0000-0000-0000000000ff";

/// Who calls, and with which `Authorization`.
#[derive(Clone)]
struct Caller {
    who: &'static str,
    kind: Kind,
    authorization: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nobody whom the plane knows.
    Stranger,
    /// A known caller that may nothing.
    Powerless,
    /// A caller with the right.
    Entitled,
}

/// The installation under test with everybody who calls it.
struct Sweep {
    plant: Plant,
    callers: BTreeMap<&'static str, Vec<Caller>>,
    /// An operation that the owner started.
    operation: String,
}

fn caller(who: &'static str, kind: Kind, authorization: impl Into<String>) -> Caller {
    Caller { who, kind, authorization: Some(authorization.into()) }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

impl Sweep {
    async fn prepare() -> Self {
        let plant = Plant::build().await;
        let rig = &plant.rig;
        let group = format!("/subscriptions/{}/resourceGroups/g1", rig.owner.subscription_id);
        // A policy without a right of the service API.
        let dps = format!("{group}/providers/Microsoft.Devices/provisioningServices/dps1");
        let mut document = rig.arm("GET", &dps, DPS, None).await.expect(200);
        document["properties"]["authorizationPolicies"] = json!([
            {"keyName": "provisioningserviceowner", "rights": "ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, RegistrationStatusRead, RegistrationStatusWrite"},
            {"keyName": "narrow", "rights": "DeviceConnect"}]);
        put(rig, &dps, DPS, document).await;
        let narrow = owner_key(rig, &dps, DPS, "narrow").await;
        let hub = format!("{group}/providers/Microsoft.Devices/IotHubs/hub1");
        let device_policy = owner_key(rig, &hub, "2025-08-01-preview", "device").await;
        let owner = object_id(&rig.token().await);
        for (number, (scope, role)) in
            [(&hub, HUB_DATA_CONTRIBUTOR), (&dps, DPS_DATA_CONTRIBUTOR)].into_iter().enumerate()
        {
            let definition = format!(
                "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}",
                rig.owner.subscription_id
            );
            let id = format!(
                "{scope}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-0000000000c{number}"
            );
            put(rig, &id, "2022-04-01", json!({"properties": {"roleDefinitionId": definition, "principalId": owner, "principalType": "ServicePrincipal"}})).await;
        }
        let synchronize =
            format!("{group}/providers/Microsoft.DeviceRegistry/namespaces/ns1/credentials/default/synchronize");
        let accepted = rig.arm("POST", &synchronize, "2026-03-01-preview", None).await;
        let location = accepted.header("location").to_owned();
        let operation =
            location.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        assert!(!operation.is_empty(), "{} {}", accepted.status, accepted.text);
        let callers = callers(&plant, &narrow, &device_policy).await;
        Self { plant, callers, operation }
    }

    fn callers_of(&self, route: &RouteInfo) -> &[Caller] {
        &self.callers[if route.wants == Wants::Nothing { "open" } else { route.plane }]
    }

    async fn call(&self, route: &RouteInfo, path: &str, authorization: Option<&str>) -> Answer {
        let (rig, method) = (&self.plant.rig, if route.method == "*" { "POST" } else { &route.method });
        if matches!(route.plane, "pki" | "health") {
            return plain(rig, route.plane, path).await;
        }
        if route.plane == "websocket" {
            // The root is for those who ask a provisioning service.
            let host = if route.path == "/" { DPS_HOST } else { HUB_HOST };
            return rig.https.send(method, host, path, &UPGRADE, "").await;
        }
        let host = match route.plane {
            "arm" => "management.localhost",
            "login" => "login.localhost",
            "graph" => "graph.localhost",
            "hub" => HUB_HOST,
            "dps" => DPS_HOST,
            "registry" => "swedencentral.api.deviceregistry.localhost",
            "portal" | "at" => "portal.localhost",
            "dps-device" => "global.azure-devices-provisioning.localhost",
            other => panic!("the sweep does not know the plane '{other}'"),
        };
        let (content, body) = body(route, method, authorization, rig);
        let mut headers = vec![("content-type", content)];
        headers.extend(authorization.filter(|_| route.plane != "login").map(|text| ("authorization", text)));
        let path = format!("{path}?api-version={}", version(route));
        rig.https.send(method, host, &path, &headers, body).await
    }

    /// The path of a route with names of things that there are, or that there are not.
    fn path(&self, route: &RouteInfo, existing: bool) -> String {
        let subscription = &self.plant.rig.owner.subscription_id;
        let value = |name: &str| -> String {
            match (name, existing) {
                ("subscription", _) => subscription.clone(),
                ("tenant", _) => self.plant.rig.owner.tenant_id.clone(),
                ("hostName", _) => HUB_HOST.into(),
                ("idScope", _) => self.plant.id_scope.clone(),
                ("scope", _) => format!("subscriptions/{subscription}/resourceGroups/g1"),
                ("provider", _) => "Microsoft.Devices".into(),
                ("location", _) => "swedencentral".into(),
                ("nameCheck", _) => "checkNameAvailability".into(),
                ("registrationId", _) => "sweep1".into(),
                ("resourceGroup", true) => "g1".into(),
                ("namespace", true) => "ns1".into(),
                ("credential", _) => "default".into(),
                ("policie", true) => "policy1".into(),
                ("IotHub", true) => "hub1".into(),
                ("provisioningService", true) => "dps1".into(),
                ("userAssignedIdentitie", true) => "id1".into(),
                ("name", true) => "iothubowner".into(),
                ("group", true) => "eg1".into(),
                ("id" | "operationId", true) if route.plane == "arm" => self.operation.clone(),
                ("id", true) if route.path.contains("enrollmentGroups") => "eg1".into(),
                ("id", _) if matches!(route.plane, "graph") => NOBODYS_ID.into(),
                ("roleAssignment" | "roleDefinition", _) => NOBODYS_ID.into(),
                _ => "sweep-none".into(),
            }
        };
        let parts = route.path.split('/').filter(|part| !part.is_empty()).map(|part| match part.split_once('{') {
            Some((before, rest)) => {
                let (name, after) = rest.split_once('}').unwrap();
                let value = if route.plane == "pki" { NOBODYS_ID.to_owned() } else { value(name) };
                format!("{before}{value}{after}")
            }
            None if part == "**" && route.plane == "arm" => format!("subscriptions/{subscription}/resourceGroups/g1"),
            None if part == "**" => "anything".into(),
            None => part.to_owned(),
        });
        format!("/{}", parts.collect::<Vec<_>>().join("/"))
    }
}

/// Everybody who calls each plane.
async fn callers(plant: &Plant, narrow: &str, device_policy: &str) -> BTreeMap<&'static str, Vec<Caller>> {
    use Kind::{Entitled, Powerless, Stranger};
    let rig = &plant.rig;
    let stranger = application(rig).await;
    let elsewhere = Rig::start().await;
    let nobody = || Caller { who: "nobody", kind: Stranger, authorization: None };
    let mut all = BTreeMap::new();
    for (plane, audience) in
        [("arm", MANAGEMENT), ("graph", GRAPH), ("hub", HUBS), ("dps", PROVISIONING), ("registry", REGISTRY)]
    {
        let other = if audience == MANAGEMENT { GRAPH } else { MANAGEMENT };
        let owner = &rig.owner;
        let foreign = elsewhere.token_of(&elsewhere.owner.client_id, &elsewhere.owner.client_secret, audience).await;
        let misdirected = rig.token_of(&owner.client_id, &owner.client_secret, other).await;
        let powerless = rig.token_of(&stranger.0, &stranger.1, audience).await;
        let entitled = rig.token_of(&owner.client_id, &owner.client_secret, audience).await;
        all.insert(
            plane,
            vec![
                nobody(),
                caller("garbage", Stranger, "Bearer x.y.z"),
                caller("another key", Stranger, bearer(&foreign)),
                caller("another audience", Stranger, bearer(&misdirected)),
                caller("no role", Powerless, bearer(&powerless)),
                caller("role", Entitled, bearer(&entitled)),
            ],
        );
    }
    elsewhere.stop().await;
    let wrong = STANDARD.encode([9u8; 32]);
    let hub = |key: &str, policy: &str| token(HUB_HOST, key, policy);
    let dps = |key: &str, policy: &str| token(DPS_HOST, key, policy);
    all.entry("hub").or_default().extend([
        caller("wrong key", Stranger, hub(&wrong, "iothubowner")),
        caller("unknown policy", Stranger, hub(&wrong, "nobody")),
        caller("another hub's", Stranger, token("hub2.azure-devices.localhost", &plant.hub_key, "iothubowner")),
        caller("policy without", Powerless, hub(device_policy, "device")),
        caller("policy", Entitled, hub(&plant.hub_key, "iothubowner")),
    ]);
    all.entry("dps").or_default().extend([
        caller("wrong key", Stranger, dps(&wrong, "provisioningserviceowner")),
        caller("unknown policy", Stranger, dps(&wrong, "nobody")),
        caller("a hub's policy", Stranger, dps(&plant.hub_key, "iothubowner")),
        caller("policy without", Powerless, dps(narrow, "narrow")),
        caller("policy", Entitled, dps(&plant.dps_key, "provisioningserviceowner")),
    ]);
    let device = |id: &str, group_key: &str| {
        let own = key::derive(group_key, id).unwrap();
        key::registration_token(&plant.id_scope, id, &own, SystemClock.unix_seconds() + 600).unwrap()
    };
    let devices = vec![
        nobody(),
        caller("garbage", Stranger, "SharedAccessSignature sr=x&sig=eA==&se=9999999999"),
        caller("wrong key", Stranger, device("sweep1", &wrong)),
        caller("another device", Stranger, device("sweep2", &plant.group_key)),
        caller("device", Entitled, device("sweep1", &plant.group_key)),
    ];
    all.insert("dps-device", devices);
    let secret = &rig.owner.client_secret;
    all.insert("login", vec![nobody(), caller("wrong secret", Stranger, "wrong"), caller("secret", Entitled, secret)]);
    let hubs: Vec<Caller> = all["hub"].iter().filter(|caller| caller.kind != Powerless).cloned().collect();
    // A shared access policy counts for nothing there.
    let at = hubs.into_iter().map(|known| match known.who {
        "policy" => Caller { kind: Stranger, ..known },
        _ => known,
    });
    all.insert("at", at.collect());
    all.insert("open", vec![Caller { who: "nobody", kind: Entitled, authorization: None }]);
    all
}

/// A service principal without any role: application id and secret.
async fn application(rig: &Rig) -> (String, String) {
    let owner = rig.token_of(&rig.owner.client_id, &rig.owner.client_secret, GRAPH).await;
    let headers = [("authorization", bearer(&owner)), ("content-type", "application/json".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let made = rig
        .https
        .send("POST", "graph.localhost", "/v1.0/applications", &headers, r#"{"displayName":"stranger"}"#)
        .await;
    let made = made.expect(201);
    let path = format!("/v1.0/applications/{}/addPassword", made["id"].as_str().unwrap());
    let secret = rig.https.send("POST", "graph.localhost", &path, &headers, "{}").await.expect(200);
    (made["appId"].as_str().unwrap().to_owned(), secret["secretText"].as_str().unwrap().to_owned())
}

fn object_id(token: &str) -> String {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["oid"].as_str().unwrap().to_owned()
}

/// The api-version that a route is asked with: the newest of its type.
fn version(route: &RouteInfo) -> &'static str {
    match route.plane {
        "hub" => "2021-04-12",
        "dps" | "dps-device" => "2025-07-01-preview",
        _ => Types::built_in()
            .all()
            .iter()
            .find(|decl| decl.routes().contains(route))
            .and_then(|decl| decl.versions().first().copied())
            .unwrap_or("2022-12-01"),
    }
}

/// A body that is well-formed and means little.
fn body(route: &RouteInfo, method: &str, secret: Option<&str>, rig: &Rig) -> (&'static str, String) {
    if route.plane == "login" {
        let client = &rig.owner.client_id;
        let secret = secret.map(|secret| format!("&client_secret={secret}")).unwrap_or_default();
        let form = format!(
            "grant_type=client_credentials&client_id={client}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default{secret}"
        );
        return ("application/x-www-form-urlencoded", form);
    }
    let document = match (route.plane, method) {
        (_, "GET" | "HEAD" | "DELETE") => return ("application/json", String::new()),
        ("arm", _) => json!({"location": "swedencentral", "name": "sweep-name"}),
        ("graph", _) => json!({"displayName": "sweep"}),
        ("dps", "PUT") => json!({"attestation": {"type": "symmetricKey", "symmetricKey": {}}}),
        _ => json!({}),
    };
    ("application/json", document.to_string())
}

/// A request on one of the small plain-HTTP listeners.
async fn plain(rig: &Rig, plane: &str, path: &str) -> Answer {
    let ports = rig.ports();
    let port = if plane == "pki" { ports.pki } else { ports.health }.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    Answer {
        port,
        status: text.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: http::HeaderMap::new(),
        text: String::new(),
    }
}

/// Status and the plane's own code.
fn outcome(answer: &Answer) -> String {
    let json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let in_body = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let header = |name: &str| Some(answer.header(name)).filter(|code| !code.is_empty()).map(str::to_owned);
    let code = header("iothub-errorcode")
        .or_else(|| header("x-ms-error-code"))
        .or_else(|| in_body("/error/code"))
        .or_else(|| in_body("/error"))
        .filter(|_| answer.status >= 400);
    format!("{}{}", answer.status, code.map(|code| format!(" {code}")).unwrap_or_default())
}

/// A line for each outcome, with those who got it.
fn grouped(answers: &[(String, &'static str)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (outcome, who) in answers {
        match groups.iter_mut().find(|(known, _)| known == outcome) {
            Some((_, all)) => all.push(who),
            None => groups.push((outcome, vec![who])),
        }
    }
    groups.iter().map(|(outcome, who)| format!("    {outcome}: {}\n", who.join(", "))).collect()
}

/// What must hold, whatever the file says.
fn check(route: &RouteInfo, caller: &Caller, answer: &Answer) {
    let what = format!("{} {} as {}: {} {}", route.method, route.path, caller.who, answer.status, answer.text);
    assert_ne!(answer.status, 500, "{what}");
    let refused = match (caller.kind, route.wants) {
        (Kind::Stranger, Wants::ClientSecret) => matches!(answer.status, 400 | 401),
        (Kind::Stranger, _) => answer.status == 401,
        // A hub answers 401 for a policy without the right, as IoT Hub does.
        (Kind::Powerless, Wants::PolicyOrBearer) => {
            answer.status == 403 || route.plane == "hub" && answer.status == 401
        }
        (Kind::Powerless, Wants::Right) => answer.status == 403,
        (Kind::Powerless, _) | (Kind::Entitled, _) => !matches!(answer.status, 401 | 403),
    };
    assert!(refused, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_refuses_everybody_who_may_not() {
    let sweep = Sweep::prepare().await;
    let mut lines = String::new();
    for route in routes() {
        writeln!(lines, "{} {} {}  ({:?})", route.plane, route.method, route.path, route.wants).unwrap();
        let (there, nowhere) = (sweep.path(&route, true), sweep.path(&route, false));
        let mut answers = Vec::new();
        for caller in sweep.callers_of(&route) {
            let authorization = caller.authorization.as_deref();
            // Whoever may, asks for what is not there: the sweep changes nothing that it still needs.
            let path = if caller.kind == Kind::Entitled { &nowhere } else { &there };
            let answer = sweep.call(&route, path, authorization).await;
            check(&route, caller, &answer);
            answers.push((outcome(&answer), caller.who));
            // An operation's id is a secret of its own: what is not there says so. Nothing else does.
            let told = route.path.starts_with("/**/") && route.wants == Wants::Right || route.wants == Wants::Principal;
            if caller.kind != Kind::Entitled && !told {
                let answer_nowhere = sweep.call(&route, &nowhere, authorization).await;
                assert_eq!(
                    outcome(&answer),
                    outcome(&answer_nowhere),
                    "{} {} as {}",
                    route.method,
                    route.path,
                    caller.who
                );
            }
        }
        lines.push_str(&grouped(&answers));
    }
    // However many processes there are, they answer the same.
    insta::with_settings!({ prepend_module_to_snapshot => false }, { insta::assert_snapshot!("routes", lines) });
    sweep.plant.rig.stop().await;
}
