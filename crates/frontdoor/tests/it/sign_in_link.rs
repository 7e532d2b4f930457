//! Links that sign a person in once: opened, used, used twice, taken to another browser, another address, another password.

use crate::browser::{Browser, PORTAL, graph, hidden, one, person, query_of};
use crate::rig::Rig;
use serde_json::{Value, json};

const LINKED: &str = "/sign-in-link";
const USE: &[(&str, &str)] = &[("step", "link")];

/// Where a link leads, and whom it signs in.
async fn link(rig: &Rig, name: Option<&str>) -> (String, String) {
    let body = name.map_or_else(|| json!({}), |name| json!({"userPrincipalName": name}));
    let made = graph(rig, "POST", "ferrohub.signInLink", body).await;
    let text = |member: &str| made[member].as_str().unwrap().to_owned();
    assert!(made["expiresDateTime"].is_string(), "{made}");
    (text("path"), text("userPrincipalName"))
}

/// Presses a button of the page behind a link.
async fn press(
    browser: &mut Browser<'_>,
    page: &crate::http_client::Answer,
    fields: &[(&str, &str)],
) -> crate::http_client::Answer {
    let flow = hidden(&page.text, "flow");
    let mut form = vec![("flow", flow.as_str())];
    form.extend(fields);
    browser.send("POST", LINKED, "same-origin", &form).await
}

#[tokio::test]
async fn a_link_signs_its_person_in_once() {
    let rig = Rig::start().await;
    let (https, port) = one(&rig);
    let (path, name) = link(&rig, None).await;
    assert_eq!(name, "owner@localhost");
    let mut browser = Browser::at(&https, "portal.localhost", port);
    // What looks at links before anybody opens them uses nothing up.
    for _ in 0..2 {
        let page = browser.send("GET", &path, "none", &[]).await;
        assert!(page.status == 200 && page.text.contains("as owner@localhost"), "{}", page.text);
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    let page = browser.send("GET", &path, "none", &[]).await;
    let sent =
        browser.send("POST", LINKED, "cross-site", &[("flow", &hidden(&page.text, "flow")), ("step", "link")]).await;
    assert_eq!(sent.status, 403, "another site had the form sent");
    let mut thief = Browser::at(&https, "portal.localhost", port);
    let stolen = press(&mut thief, &page, USE).await;
    assert!(stolen.status == 400 && stolen.text.contains("not made for this browser"), "{}", stolen.text);
    assert!(thief.cookies.iter().all(|(name, _)| name != "__Host-ferrohub-session"));

    let signed_in = press(&mut browser, &page, USE).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, "/portal/"), "{}", signed_in.text);
    let redirect = format!("{}/portal/", browser.origin);
    let silent = browser.authorize(PORTAL, &redirect, &[("prompt", "none")]).await;
    assert!(!query_of(silent.header("location"), "code").is_empty());

    let again = press(&mut browser, &page, USE).await;
    assert!(again.status == 400 && again.text.contains("used already"), "{}", again.text);
    let elsewhere = thief.send("GET", &path, "none", &[]).await;
    assert!(elsewhere.status == 400 && elsewhere.text.contains("ferrohub owner link"), "{}", elsewhere.text);
    let silent = thief.authorize(PORTAL, &redirect, &[("prompt", "none")]).await;
    assert_eq!(query_of(silent.header("location"), "error"), "login_required");
    rig.stop().await;
}

#[tokio::test]
async fn a_link_that_is_none_says_why() {
    let rig = Rig::start().await;
    let (https, port) = one(&rig);
    let (before, _) = link(&rig, None).await;
    let (path, _) = link(&rig, None).await;
    let mut browser = Browser::at(&https, "portal.localhost", port);
    let other = format!("{LINKED}?ticket={}", "A".repeat(64));
    for wrong in [before.as_str(), other.as_str(), "/sign-in-link?ticket=x", "/sign-in-link", &path[..path.len() - 1]] {
        let page = browser.send("GET", wrong, "none", &[]).await;
        assert!(page.status == 400 && page.text.contains("knows no such link"), "{wrong}: {}", page.text);
    }
    for host in ["management.localhost", "login.localhost"] {
        let page = Browser::at(&https, host, port).send("GET", &path, "none", &[]).await;
        let address = format!("https://portal.localhost:{port}");
        assert!(page.status == 400 && page.text.contains(&address), "{host}: {}", page.text);
    }
    // The plain name will do where the other one does not resolve.
    let page = Browser::at(&https, "localhost", port).send("GET", &path, "none", &[]).await;
    assert_eq!(page.status, 200, "{}", page.text);

    let ann = person(&rig, "ann", false).await;
    let (of_ann, name) = link(&rig, Some("Ann@plant.example")).await;
    assert_eq!(name, "ann@plant.example");
    graph(&rig, "PATCH", &format!("users/{}", ann["id"].as_str().unwrap()), json!({"accountEnabled": false})).await;
    let page = browser.send("GET", &of_ann, "none", &[]).await;
    assert!(page.status == 400 && page.text.contains("is disabled"), "{}", page.text);
    rig.stop().await;
}

#[tokio::test]
async fn a_password_is_chosen_behind_a_link() {
    let rig = Rig::start().await;
    let (https, port) = one(&rig);
    let (path, name) = link(&rig, None).await;
    let mut browser = Browser::at(&https, "portal.localhost", port);
    let page = browser.send("GET", &path, "none", &[]).await;
    let set = |new: &'static str, again: &'static str| {
        [("step", "link-password"), ("new_password", new), ("new_password_again", again)]
    };
    for (new, again, why) in
        [("Other-Horse-1", "Other-Horse-2", "differ"), ("short", "short", "complex"), ("", "", "complex")]
    {
        let wrong = press(&mut browser, &page, &set(new, again)).await;
        assert!(wrong.status == 200 && wrong.text.contains(why), "{}", wrong.text);
    }
    let done = press(&mut browser, &page, &set("Correct-Horse-1", "Correct-Horse-1")).await;
    assert_eq!((done.status, done.header("location")), (303, "/portal/"), "{}", done.text);
    let tokens: Value = Browser::at(&https, "portal.localhost", port).portal(&name).await;
    assert!(tokens["access_token"].is_string());

    // A password that is good for once only is changed before anything else.
    person(&rig, "bob", true).await;
    let (path, name) = link(&rig, Some("bob@plant.example")).await;
    let page = browser.send("GET", &path, "none", &[]).await;
    let refused = press(&mut browser, &page, USE).await;
    assert!(refused.status == 200 && refused.text.contains("complex"), "{}", refused.text);
    let done = press(&mut browser, &refused, &set("Other-Horse-1", "Other-Horse-1")).await;
    assert_eq!(done.status, 303, "{name}: {}", done.text);
    rig.stop().await;
}
