//! Applications, their service principals and their credentials, as `az ad` handles them.

use super::fixture::{BASE, World};
use super::people::{GRAPH, PASSWORD};
use super::workers::work_until;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ferrohub_model::clock::Clock;
use ferrohub_model::error::Error;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::certificate::Certificate;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::platform::{create_platform_root, create_server_chain};
use ferrohub_pki::profile::ServerFields;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::{Signer, SoftwareSigner};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::builtin;
use ferrohub_service::graph::GraphRequest;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

impl World {
    async fn graph(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = GraphRequest {
            method: method.into(),
            path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            query: query.split_once('=').map(|(k, v)| (k.into(), v.into())).into_iter().collect(),
            body,
            actor: self.owner.clone(),
            base_url: BASE.into(),
            address: None,
        };
        self.service().graph.handle(request).await.map(|(_, body)| body.unwrap_or_default())
    }

    async fn token_with(&self, fields: &[(&str, &str)]) -> Result<Value, u32> {
        let form = [("grant_type", "client_credentials"), ("scope", "https://management.azure.com/.default")];
        let form: Vec<_> = form.iter().chain(fields).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let tenant = self.platform().tenancy.tenant_id.clone();
        self.service().authn.token(&tenant, &form, None, None, true).await.map_err(|error| error.code)
    }
}

/// A certificate of a client, and the key that signs its assertions.
struct Signing {
    signer: Arc<SoftwareSigner>,
    certificate: Certificate,
}

impl Signing {
    async fn new(world: &World, kind: KeyKind) -> Self {
        let signer = Arc::new(SoftwareSigner::generate(kind).unwrap());
        let (name, now) = (SubjectName::from_common_name("issuer").unwrap(), world.clock.now());
        let root = Arc::new(SoftwareSigner::generate(KeyKind::P256).unwrap());
        let issuer = create_platform_root(name, root, &SystemRandom, now).await.unwrap();
        let fields = ServerFields { dns_names: vec!["client".into()], ip_addresses: Vec::new(), days: 90 };
        let chain =
            create_server_chain(&issuer, fields, signer.public_key_info_der(), &SystemRandom, now).await.unwrap();
        Self { signer, certificate: chain[0].clone() }
    }

    fn credential(&self, id: &str) -> Value {
        json!({"keyId": id, "key": self.certificate.to_base64(), "type": "AsymmetricX509Cert", "usage": "Verify"})
    }

    async fn assertion(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.signer.sign(text.as_bytes()).await.unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        let sha1 = hex::decode(self.certificate.sha1()).unwrap();
        json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(sha1)})
    }
}

const KEY_1: &str = "11111111-1111-1111-1111-111111111111";
const KEY_2: &str = "22222222-2222-2222-2222-222222222222";
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[tokio::test]
async fn objects_have_the_members_that_clients_index() {
    let world = World::new().await;
    let made =
        world.graph("POST", "applications", Some(json!({"displayName": "a", "keyCredentials": []}))).await.unwrap();
    let list = world.graph("GET", "applications", None).await.unwrap();
    let principals = world.graph("GET", "servicePrincipals", None).await.unwrap();
    for object in list["value"].as_array().unwrap().iter().chain(principals["value"].as_array().unwrap()).chain([&made])
    {
        for member in ["passwordCredentials", "keyCredentials", "appRoles", "tags", "addIns"] {
            assert!(object[member].is_array(), "{member} of {object}");
        }
    }
    for member in ["requiredResourceAccess", "identifierUris"] {
        assert_eq!(made[member], json!([]), "{member}");
    }
    assert_eq!(made["web"]["redirectUris"], json!([]));
}

#[tokio::test]
async fn a_secret_is_listed_and_taken_away_where_it_was_given() {
    let world = World::new().await;
    let app = world.graph("POST", "applications", Some(json!({"displayName": "a"}))).await.unwrap();
    let (object, client) = (app["id"].as_str().unwrap(), app["appId"].as_str().unwrap());
    let filter = format!("servicePrincipals?$filter=appId eq '{client}'");
    let principal = world.graph("GET", &filter, None).await.unwrap()["value"][0].clone();
    let mut secrets = Vec::new();
    for at in [format!("applications/{object}"), format!("servicePrincipals/{}", principal["id"].as_str().unwrap())] {
        let body = json!({"passwordCredential": {"displayName": "rbac"}});
        let secret = world.graph("POST", &format!("{at}/addPassword"), Some(body)).await.unwrap();
        let shown = world.graph("GET", &at, None).await.unwrap()["passwordCredentials"].clone();
        assert_eq!(shown.as_array().unwrap().len(), 1, "each has its own: {shown}");
        assert_eq!((&shown[0]["keyId"], &shown[0]["displayName"]), (&secret["keyId"], &json!("rbac")));
        assert_eq!((&shown[0]["endDateTime"], &shown[0]["hint"]), (&secret["endDateTime"], &secret["hint"]));
        assert_eq!(shown[0]["secretText"], Value::Null);
        secrets.push((at, secret));
    }
    for (at, secret) in secrets {
        let text = secret["secretText"].as_str().unwrap();
        assert!(world.token_with(&[("client_id", client), ("client_secret", text)]).await.is_ok());
        let gone = json!({"keyId": secret["keyId"]});
        world.graph("POST", &format!("{at}/removePassword"), Some(gone.clone())).await.unwrap();
        assert_eq!(world.token_with(&[("client_id", client), ("client_secret", text)]).await.unwrap_err(), 7_000_215);
        let again = world.graph("POST", &format!("{at}/removePassword"), Some(gone)).await.unwrap_err();
        assert_eq!(again.http_status(), 400);
    }
}

#[tokio::test]
async fn members_that_nobody_knows_are_refused_and_a_secret_has_a_start() {
    let world = World::new().await;
    let app = world.graph("POST", "applications", Some(json!({"displayName": "a"}))).await.unwrap();
    let (at, client) = (format!("applications/{}", app["id"].as_str().unwrap()), app["appId"].as_str().unwrap());
    for (path, body, target) in [
        ("addPassword", json!({"passwordCredentials": {}}), "passwordCredentials"),
        ("addPassword", json!({"passwordCredential": {"endDate": "2030-01-01"}}), "passwordCredential.endDate"),
        ("removePassword", json!({"keyId": "x", "id": "y"}), "id"),
    ] {
        let refused = world.graph("POST", &format!("{at}/{path}"), Some(body)).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.target.as_deref()), (400, Some(target)));
    }
    let certificate = json!({"keyCredentials": [{"keyId": "x", "proof": "y"}]});
    let refused = world.graph("PATCH", &at, Some(certificate)).await.unwrap_err();
    assert_eq!((refused.http_status(), refused.target.as_deref()), (400, Some("keyCredentials.proof")));
    let refused = world.graph("POST", "directoryObjects/getByIds", Some(json!({"id": ["x"]}))).await.unwrap_err();
    assert_eq!(refused.http_status(), 400);

    let later =
        json!({"passwordCredential": {"startDateTime": "2990-01-01T00:00:00Z", "endDateTime": "2991-01-01T00:00:00Z"}});
    let secret = world.graph("POST", &format!("{at}/addPassword"), Some(later)).await.unwrap();
    assert_eq!(secret["startDateTime"], "2990-01-01T00:00:00.0000000Z");
    let early = [("client_id", client), ("client_secret", secret["secretText"].as_str().unwrap())];
    assert_eq!(world.token_with(&early).await.unwrap_err(), 7_000_215);

    let found = world.graph("GET", &format!("servicePrincipals?$filter=appId eq '{client}'"), None).await.unwrap();
    let id = &found["value"][0]["id"];
    for (types, count) in [(json!([]), 1), (json!(["user", "ServicePrincipal"]), 1), (json!(["user", "group"]), 0)] {
        let asked = json!({"ids": [id], "types": types});
        let answer = world.graph("POST", "directoryObjects/getByIds", Some(asked)).await.unwrap();
        assert_eq!(answer["value"].as_array().unwrap().len(), count, "{types}");
    }
}

#[tokio::test]
async fn what_is_not_acted_upon_is_refused() {
    let world = World::new().await;
    let app = world.graph("POST", "applications", Some(json!({"displayName": "a"}))).await.unwrap();
    let at = format!("applications/{}", app["id"].as_str().unwrap());
    for body in [
        json!({"identifierUris": ["api://x"]}),
        json!({"signInAudience": "AzureADMultipleOrgs"}),
        json!({"requiredResourceAccess": [{"resourceAppId": "x"}]}),
    ] {
        assert_eq!(world.graph("PATCH", &at, Some(body.clone())).await.unwrap_err().http_status(), 501, "{body}");
    }
    let unchanged = json!({"signInAudience": "AzureADMyOrg", "requiredResourceAccess": [], "displayName": "b"});
    world.graph("PATCH", &at, Some(unchanged)).await.unwrap();
    assert_eq!(world.graph("GET", &at, None).await.unwrap()["displayName"], "b");
    // A managed identity has no credentials of its own making.
    let group = world.group("g");
    world.put(&group, "2024-11-01", json!({"location": "westeurope"})).await;
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uami1");
    let made = world.put(&identity, "2024-11-30", json!({"location": "westeurope"})).await;
    let at = format!("servicePrincipals/{}", made["properties"]["principalId"].as_str().unwrap());
    for (method, path, body, status) in [
        ("POST", format!("{at}/addPassword"), json!({}), 400),
        ("PATCH", at.clone(), json!({"keyCredentials": []}), 400),
        ("DELETE", at.clone(), Value::Null, 403),
    ] {
        assert_eq!(world.graph(method, &path, Some(body)).await.unwrap_err().http_status(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_deleted_service_principal_leaves_its_application() {
    let world = World::new().await;
    let app = world.graph("POST", "applications", Some(json!({"displayName": "a"}))).await.unwrap();
    let (object, client) = (app["id"].as_str().unwrap(), app["appId"].as_str().unwrap());
    let secret = world.graph("POST", &format!("applications/{object}/addPassword"), Some(json!({}))).await.unwrap();
    let secret = [("client_id", client), ("client_secret", secret["secretText"].as_str().unwrap())];
    let token = world.token_with(&secret).await.unwrap();
    let header = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let actor = world.service().authn.bearer(Some(&header), Audience::Arm).await.unwrap();
    let former = actor.id().to_owned();
    world.assign(&former, builtin::READER, &format!("/subscriptions/{}", world.subscription)).await;

    world.graph("DELETE", &format!("servicePrincipals/{former}"), None).await.unwrap();
    assert_eq!(world.graph("GET", &format!("servicePrincipals/{former}"), None).await.unwrap_err().http_status(), 404);
    assert_eq!(world.graph("GET", &format!("applications/{object}"), None).await.unwrap()["appId"], client);
    let filter = format!("servicePrincipals?$filter=appId eq '{client}'");
    assert_eq!(world.graph("GET", &filter, None).await.unwrap()["value"], json!([]));
    assert_eq!(world.token_with(&secret).await.unwrap_err(), 7_000_229);
    let stale = world.service().authn.bearer(Some(&header), Audience::Arm).await.unwrap_err();
    assert_eq!(stale.code, "InvalidAuthenticationToken");

    // Made anew it is another principal, without the roles of the former.
    let made = world.graph("POST", "servicePrincipals", Some(json!({"appId": client}))).await.unwrap();
    assert_ne!(made["id"], former.as_str());
    let token = world.token_with(&secret).await.unwrap();
    let header = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let actor = world.service().authn.bearer(Some(&header), Audience::Arm).await.unwrap();
    assert_eq!(world.refused(&actor, "GET", &world.group("g"), "2024-11-01", None).await.code, "AuthorizationFailed");
    // An application takes its principal along, whether there is one or not.
    world.graph("DELETE", &format!("servicePrincipals/{}", made["id"].as_str().unwrap()), None).await.unwrap();
    world.graph("DELETE", &format!("applications/{object}"), None).await.unwrap();
    assert_eq!(world.token_with(&secret).await.unwrap_err(), 700_016);
    let nothing = world.graph("POST", "servicePrincipals", Some(json!({"appId": client}))).await.unwrap_err();
    assert!(nothing.message.contains("does not reference a valid application"), "{nothing}");
}

#[tokio::test]
async fn names_for_people_hide_nothing() {
    let world = World::new().await;
    let app = world.graph("POST", "applications", Some(json!({"displayName": "a"}))).await.unwrap();
    let at = format!("applications/{}", app["id"].as_str().unwrap());
    for bad in ["a\nb", "\u{7}", "a\u{202e}b", "", "  ", &"x".repeat(257)] {
        for (method, path) in [("POST", "applications"), ("PATCH", &at)] {
            let refused = world.graph(method, path, Some(json!({"displayName": bad}))).await.unwrap_err();
            assert_eq!((refused.http_status(), refused.target.as_deref()), (400, Some("displayName")), "{bad:?}");
        }
    }
    let credential = json!({"passwordCredential": {"displayName": "a\rb"}});
    let refused = world.graph("POST", &format!("{at}/addPassword"), Some(credential)).await.unwrap_err();
    assert_eq!(refused.http_status(), 400);
}

#[tokio::test]
async fn a_certificate_signs_in() {
    let world = World::new().await;
    let (own, other) = (Signing::new(&world, KeyKind::Rsa(2048)).await, Signing::new(&world, KeyKind::Rsa(2048)).await);
    let body = json!({"displayName": "a", "keyCredentials": [own.credential(KEY_1)]});
    let app = world.graph("POST", "applications", Some(body)).await.unwrap();
    assert_eq!(app["keyCredentials"][0]["customKeyIdentifier"], own.certificate.sha1());
    assert_eq!(app["keyCredentials"][0]["key"], Value::Null);
    let (client, tenant) = (app["appId"].as_str().unwrap(), world.platform().tenancy.tenant_id.clone());
    let now = world.clock.unix_seconds();
    #[expect(clippy::cast_precision_loss, reason = "unix seconds")]
    let seconds = now as f64;
    let endpoint = format!("https://localhost:8443/{tenant}/oauth2/v2.0/token");
    let claims = json!({"aud": endpoint, "iss": client, "sub": client, "exp": seconds + 600.5, "nbf": now});
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let login = async |assertion: String| {
        world
            .token_with(&[("client_id", client), ("client_assertion_type", KIND), ("client_assertion", &assertion)])
            .await
    };
    let token = login(own.assertion(&own.header(), &claims).await).await.unwrap();
    let header = format!("Bearer {}", token["access_token"].as_str().unwrap());
    world.service().authn.bearer(Some(&header), Audience::Arm).await.unwrap();
    let sha256 = URL_SAFE_NO_PAD.encode(hex::decode(own.certificate.sha256()).unwrap());
    for header in [json!({"alg": "RS256", "x5t#S256": sha256}), json!({"alg": "RS256", "kid": own.certificate.sha1()})]
    {
        login(own.assertion(&header, &claims).await).await.unwrap();
    }
    for audience in [format!("https://login.localhost/{tenant}/oauth2/token"), format!("https://127.0.0.1:1/{tenant}")]
    {
        login(own.assertion(&own.header(), &with("aud", audience.into())).await).await.unwrap();
    }

    for (assertion, code) in [
        (other.assertion(&other.header(), &claims).await, 700_027),
        (other.assertion(&own.header(), &claims).await, 700_027),
        (own.assertion(&json!({"alg": "RS256"}), &claims).await, 700_027),
        (own.assertion(&json!({"alg": "none", "x5t": own.header()["x5t"]}), &claims).await, 50_027),
        (own.assertion(&json!({"alg": "HS256", "x5t": own.header()["x5t"]}), &claims).await, 50_027),
        (own.assertion(&own.header(), &with("iss", "x".into())).await, 700_021),
        (own.assertion(&own.header(), &with("sub", KEY_1.into())).await, 700_021),
        (
            own.assertion(&own.header(), &with("aud", endpoint.replace("localhost", "evil.example").into())).await,
            700_023,
        ),
        (own.assertion(&own.header(), &with("aud", "https://localhost/other/oauth2/token".into())).await, 700_023),
        (own.assertion(&own.header(), &with("exp", (now - 301).into())).await, 700_024),
        (own.assertion(&own.header(), &with("nbf", (now + 301).into())).await, 700_024),
        ("a.b.c".to_owned(), 50_027),
        (String::new(), 50_027),
    ] {
        assert_eq!(login(assertion.clone()).await.unwrap_err(), code, "{assertion}");
    }
    let untyped = own.assertion(&own.header(), &claims).await;
    assert_eq!(world.token_with(&[("client_id", client), ("client_assertion", &untyped)]).await.unwrap_err(), 900_144);
}

#[tokio::test]
async fn certificates_are_replaced_kept_by_id_and_checked() {
    let world = World::new().await;
    let (one, two) = (Signing::new(&world, KeyKind::Rsa(2048)).await, Signing::new(&world, KeyKind::Rsa(2048)).await);
    let app = world.graph("POST", "applications", Some(json!({"displayName": "a"}))).await.unwrap();
    let at = format!("applications/{}", app["id"].as_str().unwrap());
    let set = async |list: Value| world.graph("PATCH", &at, Some(json!({"keyCredentials": list}))).await;
    let ids = async || -> Vec<String> {
        let shown = world.graph("GET", &at, None).await.unwrap();
        shown["keyCredentials"].as_array().unwrap().iter().map(|c| c["keyId"].as_str().unwrap().to_owned()).collect()
    };
    set(json!([one.credential(KEY_1)])).await.unwrap();
    // `az ad app credential reset --append` sends back what it was shown, which has no key.
    let shown = world.graph("GET", &at, None).await.unwrap()["keyCredentials"][0].clone();
    set(json!([shown, two.credential(KEY_2)])).await.unwrap();
    assert_eq!(ids().await, [KEY_1, KEY_2]);
    set(json!([two.credential(KEY_2)])).await.unwrap();
    assert_eq!(ids().await, [KEY_2]);
    let weak = Signing::new(&world, KeyKind::P256).await;
    let late = json!({"endDateTime": "2999-01-01T00:00:00Z"});
    let mut too_long = one.credential(KEY_1);
    too_long["endDateTime"] = late["endDateTime"].clone();
    let mut symmetric = one.credential(KEY_1);
    symmetric["type"] = "Symmetric".into();
    let mut unnamed = one.credential(KEY_1);
    unnamed["keyId"] = "x".into();
    for bad in [
        json!([weak.credential(KEY_1)]),
        json!([too_long]),
        json!([symmetric]),
        json!([unnamed]),
        json!([{"keyId": KEY_1}]),
        json!([one.credential(KEY_1), two.credential(KEY_1)]),
        json!([{"keyId": KEY_1, "key": STANDARD.encode("x"), "type": "AsymmetricX509Cert", "usage": "Verify"}]),
        json!("x"),
    ] {
        assert_eq!(set(bad.clone()).await.unwrap_err().http_status(), 400, "{bad}");
    }
    assert_eq!(ids().await, [KEY_2], "a refused change changes nothing");
}

#[tokio::test]
async fn what_people_change_of_themselves_is_in_the_audit_log() {
    let world = World::new().await;
    world.user("ann").await;
    let token = world.sign_in_for(GRAPH, "ann@plant.example", PASSWORD).await.unwrap();
    let ann = world.bearer_of(&token, Audience::Graph).await.unwrap();
    let change = async |current: &str| {
        let body = json!({"currentPassword": current, "newPassword": "Another-Horse-2"});
        world.graph_as(&ann, "POST", "me/changePassword", Some(body)).await
    };
    for _ in 0..6 {
        assert_eq!(change("Wrong-Horse-1").await.unwrap_err().http_status(), 400);
    }
    change(PASSWORD).await.unwrap();
    world.graph_as(&ann, "POST", "me/revokeSignInSessions", None).await.unwrap();
    let log = format!(
        "/subscriptions/{}/providers/Ferrohub/auditEvents?$filter=eventTimestamp ge '2026-11-01T00:00:00Z' and kind eq 'directoryChanged' and caller eq 'ann@plant.example'",
        world.subscription
    );
    let told = async |path: &str, status: &str| {
        let events = world.get(&log, "2015-04-01").await["value"].as_array().unwrap().clone();
        events.iter().filter(|event| event["resource"] == path && event["status"] == status).count()
    };
    work_until(&world, "the audit log tells of it", Duration::from_secs(1), async || {
        told("/me/changePassword", "Succeeded").await == 1 && told("/me/revokeSignInSessions", "Succeeded").await == 1
    })
    .await;
    let failed = told("/me/changePassword", "Failed").await;
    assert!((1..=world.platforms().len()).contains(&failed), "{failed} rows for what is repeated");
}

#[tokio::test]
async fn a_group_gets_all_that_a_patch_says_or_nothing() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let body = json!({"displayName": "crew", "mailEnabled": false, "mailNickname": "crew", "securityEnabled": true});
    let group = world.graph("POST", "groups", Some(body)).await.unwrap();
    let at = format!("groups/{}", group["id"].as_str().unwrap());
    let url = |id: &str| format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}");
    let ann = url(ann["id"].as_str().unwrap());
    let members =
        async || world.graph("GET", &format!("{at}/members"), None).await.unwrap()["value"].as_array().unwrap().len();
    for (bad, status) in [(url("11111111-1111-4111-8111-111111111111"), 404), (url(group["id"].as_str().unwrap()), 400)]
    {
        let patch = json!({"displayName": "other", "members@odata.bind": [ann, bad]});
        assert_eq!(world.graph("PATCH", &at, Some(patch)).await.unwrap_err().http_status(), status);
        assert_eq!(world.graph("GET", &at, None).await.unwrap()["displayName"], "crew");
        assert_eq!(members().await, 0, "half of it was done");
    }
    let patch = json!({"displayName": "other", "members@odata.bind": [ann]});
    world.graph("PATCH", &at, Some(patch)).await.unwrap();
    assert_eq!(world.graph("GET", &at, None).await.unwrap()["displayName"], "other");
    assert_eq!(members().await, 1);
}
