//! A person signs in in a browser, which these tests play.

use crate::browser::{
    Browser, CLI, GRAPH, PASSWORD, PORTAL, VERIFIER, claims, encoded, graph, hidden, one, person, query_of,
};
use crate::http_client::Answer;
use crate::rig::Rig;
use serde_json::{Value, json};

#[tokio::test]
async fn the_portal_signs_in_stays_signed_in_and_signs_out() {
    let rig = Rig::start().await;
    person(&rig, "ann", false).await;
    let (https, port) = one(&rig);
    let mut browser = Browser::at(&https, "portal.localhost", port);
    let redirect = format!("{}/portal/", browser.origin);

    let silent = browser.authorize(PORTAL, &redirect, &[("prompt", "none")]).await;
    assert_eq!(silent.status, 303, "{}", silent.text);
    assert_eq!(query_of(silent.header("location"), "error"), "login_required");
    assert_eq!(query_of(silent.header("location"), "state"), "s t&1");
    let page = browser.authorize(PORTAL, &redirect, &[("login_hint", "\"><b>ann")]).await;
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"), "{}", page.text);
    assert!(page.text.contains("value=\"&quot;&gt;&lt;b&gt;ann\"") && !page.text.contains("<b>"), "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains(&format!("form-action 'self' {}", browser.origin)),
        "{policy}"
    );

    // A wrong name and a wrong password read alike.
    let mut texts = Vec::new();
    for (name, password) in [("ann@plant.example", "Wrong-Horse-1"), ("nobody@plant.example", PASSWORD)] {
        let wrong = browser.fill_in(&page, &[("username", name), ("password", password)]).await;
        assert_eq!(wrong.status, 200);
        let fault = wrong.text.split_once("role=\"alert\"").unwrap().1.split_once("</p>").unwrap().0.to_owned();
        texts.push(fault);
    }
    assert_eq!(texts[0], texts[1]);

    let token = browser.portal("ANN@plant.example").await;
    assert_eq!(
        (&claims(&token, "id_token")["nonce"], &claims(&token, "id_token")["aud"]),
        (&json!("n1"), &json!(PORTAL))
    );
    assert_eq!(claims(&token, "access_token")["aud"], "https://management.azure.com");
    assert!(browser.cookies.iter().any(|(name, value)| name == "__Host-ferrohub-session" && value.len() == 64));

    // A reload signs in without a form, and one refresh token gives tokens of every service.
    let silent = browser.authorize(PORTAL, &redirect, &[("prompt", "none")]).await;
    assert!(query_of(silent.header("location"), "code").len() == 64);
    let other = browser.refresh(PORTAL, &token, GRAPH).await.expect(200);
    assert_eq!(claims(&other, "access_token")["aud"], GRAPH);

    let out = browser.send("GET", "/organizations/oauth2/v2.0/logout", "none", &[]).await;
    assert!(out.status == 200 && out.text.contains("method=\"post\""), "{}", out.text);
    let elsewhere = browser.send("POST", "/organizations/oauth2/v2.0/logout", "cross-site", &[]).await;
    assert_eq!(elsewhere.status, 403);
    let after = format!("{}/portal/signed-out", browser.origin);
    let out = browser
        .send("POST", "/organizations/oauth2/v2.0/logout", "same-origin", &[("post_logout_redirect_uri", &after)])
        .await;
    assert_eq!(
        (out.status, out.header("location"), out.header("clear-site-data")),
        (303, after.as_str(), "\"storage\"")
    );
    let silent = browser.authorize(PORTAL, &redirect, &[("prompt", "none")]).await;
    assert_eq!(query_of(silent.header("location"), "error"), "login_required");
    assert_eq!(browser.refresh(PORTAL, &other, GRAPH).await.expect(400)["error_codes"], json!([50_173]));
    rig.stop().await;
}

#[tokio::test]
async fn a_program_gets_its_code_by_a_form_that_is_posted_on() {
    let rig = Rig::start().await;
    person(&rig, "ann", false).await;
    let (https, port) = one(&rig);
    let mut browser = Browser::at(&https, "localhost", port);
    let asks = [("response_mode", "form_post"), ("prompt", "select_account"), ("client_info", "1")];
    let page = browser.authorize(CLI, "http://localhost:8400", &asks).await;
    assert!(
        page.text.contains("to Microsoft Azure CLI") && page.text.contains("https://portal.localhost"),
        "{}",
        page.text
    );
    let on = browser.fill_in(&page, &[("username", "ann@plant.example"), ("password", PASSWORD)]).await;
    assert!(
        on.text.contains("action=\"http://localhost:8400\"") && hidden(&on.text, "state") == "s t&amp;1",
        "{}",
        on.text
    );
    assert!(on.header("content-security-policy").contains("form-action http://localhost:8400;"));
    let code = hidden(&on.text, "code");

    // The next program is asked about, although somebody is signed in.
    let page = browser.authorize(CLI, "http://localhost:9", &[]).await;
    assert!(page.text.contains("Continue as ann@plant.example"), "{}", page.text);
    let known = browser.fill_in(&page, &[("step", "known")]).await;
    assert!(known.header("location").starts_with("http://localhost:9?code="));
    let silent = browser.authorize(CLI, "http://localhost:9", &[("prompt", "none")]).await;
    assert_eq!(query_of(silent.header("location"), "error"), "interaction_required");

    let redeem = |code: &str, redirect: &str, verifier: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", CLI),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
            ("scope", "https://management.azure.com/.default openid offline_access"),
        ];
        let form = encoded(&form);
        let https = &rig.https;
        async move {
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            https.send("POST", "login.localhost", "/organizations/oauth2/v2.0/token", &headers, form).await
        }
    };
    let token = redeem(&code, "http://localhost:8400", VERIFIER).await.expect(200);
    assert!(token["client_info"].is_string());
    let next = browser.refresh(CLI, &token, GRAPH).await.expect(200);
    assert_eq!(redeem(&code, "http://localhost:8400", VERIFIER).await.expect(400)["error_codes"], json!([54_005]));
    assert_eq!(
        browser.refresh(CLI, &next, GRAPH).await.expect(400)["error_codes"],
        json!([50_173]),
        "what came of it ended"
    );
    for (redirect, verifier, wrong) in [
        ("http://localhost:10", VERIFIER, 500_112),
        ("http://localhost:9", &"A".repeat(43), 501_481),
        ("http://localhost:9", "short", 501_481),
    ] {
        let page = browser.authorize(CLI, "http://localhost:9", &[]).await;
        let on = browser.fill_in(&page, &[("step", "known")]).await;
        let code = query_of(on.header("location"), "code");
        assert_eq!(redeem(&code, redirect, verifier).await.expect(400)["error_codes"], json!([wrong]), "{redirect}");
        let again = redeem(&code, "http://localhost:9", VERIFIER).await.expect(400);
        assert_eq!(again["error_codes"], json!([54_005]), "whoever tried used it up");
    }
    assert_eq!(redeem("x", "http://localhost:9", VERIFIER).await.expect(400)["error_codes"], json!([70_008]));
    rig.stop().await;
}

#[tokio::test]
async fn forms_are_for_one_browser_and_passwords_that_end_are_changed_there() {
    let rig = Rig::start().await;
    let ann = person(&rig, "ann", true).await;
    let (https, port) = one(&rig);
    let mut browser = Browser::at(&https, "portal.localhost", port);
    let redirect = format!("{}/portal/", browser.origin);
    let page = browser.authorize(PORTAL, &redirect, &[]).await;
    let mut other = Browser::at(&https, "portal.localhost", port);
    for _ in 0..2 {
        let stolen = other.fill_in(&page, &[("username", "ann@plant.example"), ("password", PASSWORD)]).await;
        assert!(stolen.status == 400 && stolen.text.contains("not made for this browser"), "{}", stolen.text);
        other.authorize(PORTAL, &redirect, &[]).await;
    }
    let change = browser.fill_in(&page, &[("username", "ann@plant.example"), ("password", PASSWORD)]).await;
    assert!(change.text.contains("name=\"new_password\""), "{}", change.text);
    let set = |new: &'static str, again: &'static str| {
        [("step", "new-password"), ("new_password", new), ("new_password_again", again)]
    };
    for (new, again, why) in [
        ("Other-Horse-1", "Other-Horse-2", "differ"),
        ("short", "short", "complex"),
        (PASSWORD, PASSWORD, "than the one that you have"),
    ] {
        let wrong = browser.fill_in(&change, &set(new, again)).await;
        assert!(wrong.status == 200 && wrong.text.to_lowercase().contains(why), "{}", wrong.text);
    }
    let back = browser.fill_in(&change, &set("Other-Horse-1", "Other-Horse-1")).await;
    assert!(back.header("location").starts_with(&format!("{redirect}?code=")), "{}", back.text);
    let twice = browser.fill_in(&change, &set("Third-Horse-1", "Third-Horse-1")).await;
    assert!(twice.text.contains("name=\"username\""), "the form was good once: {}", twice.text);

    // Whoever is disabled has no session any more.
    graph(&rig, "PATCH", &format!("users/{}", ann["id"].as_str().unwrap()), json!({"accountEnabled": false})).await;
    let silent = browser.authorize(PORTAL, &redirect, &[("prompt", "none")]).await;
    assert_eq!(query_of(silent.header("location"), "error"), "login_required");
    rig.stop().await;
}

#[tokio::test]
async fn the_portal_is_served_and_reaches_hubs_by_bearer_only() {
    let rig = Rig::start().await;
    let (https, port) = one(&rig);
    let root = https.send("GET", "localhost", "/", &[("accept", "text/html")], "").await;
    let there = format!("https://portal.localhost:{port}/portal/");
    assert_eq!((root.status, root.header("location")), (302, there.as_str()));
    assert_eq!(https.send("GET", "localhost", "/", &[], "").await.status, 404);
    let page = https.send("GET", "portal.localhost", "/portal/resource/subscriptions/x/overview?tab=1", &[], "").await;
    assert!(page.status == 200 && page.text.contains("id=\"root\""), "{}", page.text);
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(
        page.header("content-security-policy").contains("require-trusted-types-for 'script'; trusted-types 'none'")
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let script = page.text.split('"').find(|part| part.contains("assets/") && part.ends_with(".js")).unwrap();
    let script = format!("/portal/{}", script.trim_start_matches("./").trim_start_matches("/portal/"));
    let script = https.send("GET", "portal.localhost", &script, &[], "").await;
    assert_eq!((script.status, script.header("cache-control")), (200, "public, max-age=31536000, immutable"));
    assert_eq!(https.send("GET", "portal.localhost", "/portal/assets/gone.js", &[], "").await.status, 404);
    assert_eq!(https.send("POST", "portal.localhost", "/portal/", &[], "").await.status, 405);
    assert!(
        https.send("GET", "portal.localhost", "/portal/version.json", &[], "").await.expect(200)["version"].is_string()
    );

    let token = rig.token_of(&rig.owner.client_id, &rig.owner.client_secret, "https://iothubs.azure.net").await;
    let hub = "/at/nohub.azure-devices.localhost/devices/d?api-version=2021-04-12";
    let bearer = format!("Bearer {token}");
    let answer = https.send("GET", "portal.localhost", hub, &[("authorization", &bearer)], "").await;
    assert_eq!(answer.header("iothub-errorcode"), "IotHubNotFound", "{}", answer.text);
    for header in [
        ("authorization", "SharedAccessSignature sr=x&sig=eA==&se=9999999999"),
        ("cookie", "__Host-ferrohub-session=x"),
    ] {
        let answer = https.send("GET", "portal.localhost", hub, &[header], "").await;
        assert!(answer.status == 401 && answer.text.contains("only a bearer token"), "{}", answer.text);
    }
    let answer = https
        .send("GET", "portal.localhost", "/at/management.localhost/subscriptions", &[("authorization", &bearer)], "")
        .await;
    assert_eq!(answer.status, 404, "{}", answer.text);
    rig.stop().await;
}

#[tokio::test]
async fn a_device_without_a_browser_is_signed_in_by_its_code() {
    let rig = Rig::start().await;
    person(&rig, "ann", false).await;
    let (https, port) = one(&rig);
    let mut browser = Browser::at(&https, "portal.localhost", port);
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let begin = async |client: &str| {
        let form =
            encoded(&[("client_id", client), ("scope", "https://management.azure.com/.default offline_access openid")]);
        rig.https.send("POST", "localhost", "/organizations/oauth2/v2.0/devicecode", &form_type, form).await
    };
    let ask = async |code: &Value| {
        let form = encoded(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", CLI),
            ("device_code", code["device_code"].as_str().unwrap()),
        ]);
        rig.https.send("POST", "localhost", "/organizations/oauth2/v2.0/token", &form_type, form).await
    };
    assert_eq!(begin(PORTAL).await.expect(400)["error"], "unauthorized_client");
    let code = begin(CLI).await.expect(200);
    assert!(code["message"].as_str().unwrap().contains("/devicelogin and enter the code"), "{code}");
    assert_eq!(ask(&code).await.expect(400)["error"], "authorization_pending");
    assert_eq!(ask(&code).await.expect(400)["error"], "slow_down");

    // A wrong code is found out once somebody has signed in; the right one is shown with the program's name.
    let page = browser.send("GET", "/devicelogin", "none", &[]).await;
    let fill = async |browser: &mut Browser<'_>, page: &Answer, fields: &[(&str, &str)]| {
        let flow = hidden(&page.text, "flow");
        let mut form = vec![("flow", flow.as_str())];
        form.extend(fields);
        browser.send("POST", "/devicelogin", "same-origin", &form).await
    };
    let page = fill(&mut browser, &page, &[("step", "code"), ("code", "BBBB-BBBB")]).await;
    assert!(page.text.contains("name=\"password\""), "{}", page.text);
    let page = fill(&mut browser, &page, &[("username", "ann@plant.example"), ("password", PASSWORD)]).await;
    assert!(page.text.contains("none that a device shows now"), "{}", page.text);
    let typed = code["user_code"].as_str().unwrap().to_lowercase();
    let page = fill(&mut browser, &page, &[("step", "code"), ("code", &format!(" {} ", typed))]).await;
    assert!(
        page.text.contains("Microsoft Azure CLI shows the code") && page.text.contains("ann@plant.example"),
        "{}",
        page.text
    );
    let yes = fill(&mut browser, &page, &[("step", "approve")]).await;
    assert!(yes.text.contains("The device is signed in"), "{}", yes.text);
    let again = fill(&mut browser, &page, &[("step", "approve")]).await;
    assert!(again.text.contains("none that a device shows now"), "{}", again.text);
    let token = ask(&code).await.expect(200);
    assert_eq!(claims(&token, "access_token")["upn"], "ann@plant.example");
    assert!(token["refresh_token"].is_string() && token["id_token"].is_string());
    assert_eq!(ask(&code).await.expect(400)["error"], "expired_token", "once");

    let code = begin(CLI).await.expect(200);
    let page =
        browser.send("GET", &format!("/devicelogin?otc={}", code["user_code"].as_str().unwrap()), "none", &[]).await;
    let page = fill(&mut browser, &page, &[("step", "code"), ("code", code["user_code"].as_str().unwrap())]).await;
    let mut stranger = Browser::at(&https, "portal.localhost", port);
    assert_eq!(fill(&mut stranger, &page, &[("step", "approve")]).await.status, 400, "another browser's form");
    fill(&mut browser, &page, &[("step", "decline")]).await;
    assert_eq!(ask(&code).await.expect(400)["error"], "authorization_declined");
    for _ in 0..20 {
        begin(CLI).await;
    }
    assert_eq!(begin(CLI).await.expect(400)["error"], "slow_down", "an address has so many");
    rig.stop().await;
}

/// Everything comes from one address here: what one client gets wrong there stops neither people nor other clients.
#[tokio::test]
async fn wrong_secrets_of_clients_and_wrong_passwords_are_counted_apart() {
    let rig = Rig::start().await;
    person(&rig, "ann", false).await;
    let (https, port) = one(&rig);
    let mut browser = Browser::at(&https, "portal.localhost", port);
    let (scope, app) = ("https://management.azure.com/.default offline_access", rig.owner.client_id.clone());
    let by_password = async |client: &str, secret: Option<&str>, password: &str| {
        let mut form = vec![
            ("grant_type", "password"),
            ("client_id", client),
            ("username", "ann@plant.example"),
            ("password", password),
            ("scope", scope),
        ];
        form.extend(secret.map(|secret| ("client_secret", secret)));
        Browser::at(&https, "login.localhost", port).token(&form).await
    };
    let mut last = 0;
    for _ in 0..24 {
        last = by_password(&app, Some("wrong"), PASSWORD).await.status;
    }
    assert_eq!(last, 429, "the client waits");
    // Its wrong secrets are none of the person, and a public client shows nothing that could be wrong.
    let token = by_password(CLI, None, PASSWORD).await.expect(200);
    browser.refresh(CLI, &token, "https://management.azure.com").await.expect(200);

    let mut locked = by_password(CLI, None, "Wrong-Horse-1").await;
    for _ in 0..24 {
        if locked.json()["error_codes"] == json!([50_053]) {
            break;
        }
        assert_eq!(locked.json()["error_codes"], json!([50_126]));
        locked = by_password(CLI, None, "Wrong-Horse-1").await;
    }
    assert_eq!((locked.status, &locked.json()["error_codes"]), (400, &json!([50_053])), "{}", locked.text);
    assert!((1..=61).contains(&locked.header("retry-after").parse::<u32>().unwrap()));
    let redirect = format!("{}/portal/", browser.origin);
    let mut status = 0;
    for _ in 0..24 {
        let page = browser.authorize(PORTAL, &redirect, &[]).await;
        let answer = browser.fill_in(&page, &[("username", "ann@plant.example"), ("password", "Wrong-Horse-1")]).await;
        status = answer.status;
        if status == 429 {
            assert!(answer.text.contains("Wait a moment") && !answer.header("retry-after").is_empty());
            break;
        }
    }
    assert_eq!(status, 429, "the form counts with the token endpoint");
    rig.stop().await;
}
