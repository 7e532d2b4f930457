//! Links that sign a person in once: who may make them, how long they are good, what is kept of them.

use super::between::writes_any;
use super::fixture::World;
use super::people::PASSWORD;
use super::workers::work_until;
use ferrohub_model::error::ErrorKind;
use ferrohub_service::authn::{Browser, Next};
use ferrohub_service::authz::builtin;
use ferrohub_service::tables;
use ferrohub_store::Page;
use serde_json::json;
use std::time::Duration;

const BROWSER: Browser<'_> =
    Browser { origin: "https://portal.localhost:8443", session: None, binding: "a browser's own", address: None };
const ANOTHER: &str = "Another-Horse-2";
const ACTION: &str = "ferrohub.signInLink";

fn ticket(made: &serde_json::Value) -> String {
    made["path"].as_str().unwrap().strip_prefix("/sign-in-link?ticket=").unwrap().to_owned()
}

/// The code with which a link is refused.
async fn refused(world: &World, ticket: &str) -> u32 {
    world.service().authn.open_link(ticket, BROWSER).await.unwrap_err().error.code
}

#[tokio::test]
async fn a_link_is_good_for_a_quarter_of_an_hour_and_its_secret_is_not_kept() {
    let world = World::new().await;
    let made = world.directory("POST", ACTION, Some(json!({}))).await;
    let ticket = ticket(&made);
    let step = world.service().authn.open_link(&ticket, BROWSER).await.unwrap();
    let Next::Form(form) = step.next else { panic!("no form: {step:?}") };
    let rows = world.platform().store.last(&tables::SIGN_IN_LINKS, "", Page::first(10)).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let kept = row.value().unwrap().to_string();
    assert!(!kept.contains(&ticket) && !kept.contains(&ticket[22..]), "{kept}");
    world.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert!(world.service().authn.open_link(&ticket, BROWSER).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refused(&world, &ticket).await, 90_103);
    let late = [("flow".to_owned(), form.flow), ("step".to_owned(), "link".to_owned())];
    assert_eq!(world.service().authn.proceed(&late, BROWSER).await.unwrap_err().error.code, 90_103);
}

#[tokio::test]
async fn a_link_ends_with_whatever_else_a_person_was_given() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let at = format!("users/{}", ann["id"].as_str().unwrap());
    for ends in ["revoke", "password", "disable"] {
        let made = world.directory("POST", ACTION, Some(json!({"userPrincipalName": "ann@plant.example"}))).await;
        let opened = world.service().authn.open_link(&ticket(&made), BROWSER).await.unwrap();
        let Next::Form(form) = opened.next else { panic!("no form: {opened:?}") };
        match ends {
            "revoke" => drop(world.directory("POST", &format!("{at}/revokeSignInSessions"), None).await),
            "password" => {
                let password = json!({"passwordProfile": {"password": "Another-Horse-1"}});
                world.directory("PATCH", &at, Some(password)).await;
            }
            _ => {
                for enabled in [false, true] {
                    world.directory("PATCH", &at, Some(json!({"accountEnabled": enabled}))).await;
                }
            }
        }
        assert_eq!(refused(&world, &ticket(&made)).await, 90_105, "{ends}");
        let pressed = [("flow".to_owned(), form.flow), ("step".to_owned(), "link".to_owned())];
        assert_eq!(world.service().authn.proceed(&pressed, BROWSER).await.unwrap_err().error.code, 90_105, "{ends}");
    }
}

#[tokio::test]
async fn of_two_links_that_are_made_at_once_one_signs_in_and_none_signs_in_anybody_else() {
    let world = World::new().await;
    world.user("ann").await;
    let (body, make) = (json!({"userPrincipalName": "ann@plant.example"}), "POST");
    let both = futures_util::future::join(
        world.directory(make, ACTION, Some(body.clone())),
        world.directory(make, ACTION, Some(body.clone())),
    );
    let (one, other) = Box::pin(world.while_time_passes(both)).await;
    let mut good = Vec::new();
    for made in [one, other] {
        match world.service().authn.open_link(&ticket(&made), BROWSER).await {
            Ok(step) => good.push((ticket(&made), step)),
            Err(refusal) => assert_eq!(refusal.error.code, 90_101),
        }
    }
    let [(ticket_of_it, step)] = good.as_slice() else { panic!("{good:?}") };
    let Next::Form(form) = &step.next else { panic!("no form: {step:?}") };
    let fill = |pairs: &[(&str, &str)]| {
        let all = [&[("flow", form.flow.as_str())], pairs].concat();
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    // The form of a link takes no password, of whomever.
    world.user("bob").await;
    for step in ["other", "known", "approve", "new-password", ""] {
        let filled = fill(&[("step", step), ("username", "bob@plant.example"), ("password", PASSWORD)]);
        let refusal = world.service().authn.proceed(&filled, BROWSER).await.unwrap_err();
        assert_eq!(refusal.error.code, 90_100, "{step}");
    }
    let step = world.service().authn.proceed(&fill(&[("step", "link")]), BROWSER).await.unwrap();
    assert!(step.session.is_some() && matches!(step.next, Next::Portal), "{step:?}");
    // A used link stays what it is when another one is made.
    world.directory(make, ACTION, Some(body)).await;
    assert_eq!(refused(&world, ticket_of_it).await, 90_102);
}

fn pressed(flow: &str, with_password: bool) -> Vec<(String, String)> {
    let step = if with_password { "link-password" } else { "link" };
    let filled = [("flow", flow), ("step", step), ("new_password", ANOTHER), ("new_password_again", ANOTHER)];
    filled.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

async fn opened(world: &World, ticket: &str) -> String {
    let step = world.service().authn.open_link(ticket, BROWSER).await.unwrap();
    let Next::Form(form) = step.next else { panic!("no form: {step:?}") };
    form.flow
}

/// The link is used up by the very unit that begins the session.
#[tokio::test]
async fn a_link_whose_sign_in_is_cut_off_signs_in_still_and_once_only() {
    let world = World::new().await;
    world.user("ann").await;
    for with_password in [false, true] {
        // Of two links of one moment either may be the last.
        world.clock.advance(Duration::from_secs(1));
        let made = world.directory("POST", ACTION, Some(json!({"userPrincipalName": "ann@plant.example"}))).await;
        let ticket = ticket(&made);
        let filled = pressed(&opened(&world, &ticket).await, with_password);
        for cut_off in [&tables::SESSIONS, &tables::SIGN_IN_LINKS, &tables::PRINCIPALS] {
            if !with_password && cut_off.name == tables::PRINCIPALS.name {
                continue;
            }
            world.store.refuse(writes_any(cut_off));
            let error = world.service().authn.proceed(&filled, BROWSER).await.unwrap_err().error;
            assert_eq!(error.status, 503, "{}: {error:?}", cut_off.name);
        }
        world.store.refuse(|_| false);
        let step = world.service().authn.proceed(&filled, BROWSER).await.unwrap();
        assert!(step.session.is_some() && matches!(step.next, Next::Portal), "{step:?}");
        let living = world.service().authn.sign_out(step.session.as_ref().map(|cookie| cookie.as_str())).await.unwrap();
        assert_eq!(living.as_deref(), Some("ann@plant.example"), "its session stays, whatever else ended");
        assert_eq!(world.service().authn.proceed(&filled, BROWSER).await.unwrap_err().error.code, 90_102);
    }
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_signs_in() {
    let world = World::new().await;
    world.user("ann").await;
    for with_password in [false, true] {
        // Of two links of one moment either may be the last.
        world.clock.advance(Duration::from_secs(1));
        let made = world.directory("POST", ACTION, Some(json!({"userPrincipalName": "ann@plant.example"}))).await;
        let filled = pressed(&opened(&world, &ticket(&made)).await, with_password);
        let (other, quicker) = (world.service().clone(), filled.clone());
        world.store.meanwhile(writes_any(&tables::SIGN_IN_LINKS), async move {
            assert!(other.authn.proceed(&quicker, BROWSER).await.unwrap().session.is_some());
        });
        let slower = Box::pin(world.while_time_passes(world.service().authn.proceed(&filled, BROWSER))).await;
        assert_eq!(slower.unwrap_err().error.code, 90_102, "{with_password}");
        assert!(world.store.happened());
    }
}

#[tokio::test]
async fn the_logs_tell_of_a_link_and_not_what_it_is() {
    let world = World::new().await;
    let made = world.directory("POST", ACTION, Some(json!({}))).await;
    let secret = ticket(&made)[22..].to_owned();
    let log = format!(
        "/subscriptions/{}/providers/Ferrohub/auditEvents?$filter=eventTimestamp ge '2026-11-01T00:00:00Z' and kind eq 'directoryChanged'",
        world.subscription
    );
    work_until(&world, "the audit log tells of it", Duration::from_secs(1), async || {
        let told = world.get(&log, "2015-04-01").await.to_string();
        assert!(!told.contains(&secret), "{told}");
        told.contains("ferrohub.signInLink") && told.contains(made["id"].as_str().unwrap())
    })
    .await;
    for row in world.platform().store.last(&tables::ACTIVITY, "", Page::first(1000)).await.unwrap() {
        assert!(!row.value().unwrap().to_string().contains(&secret), "{row:?}");
    }
}

#[tokio::test]
async fn who_may_not_change_the_directory_makes_no_link() {
    let world = World::new().await;
    let stranger = world.stranger().await;
    world.assign(stranger.id(), builtin::CONTRIBUTOR, &format!("/subscriptions/{}", world.subscription)).await;
    let error = world.graph_as(&stranger, "POST", ACTION, Some(json!({}))).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Forbidden, "Authorization_RequestDenied"));
    let unknown = json!({"userPrincipalName": "nobody@plant.example"});
    let error = world.graph_as(&world.owner, "POST", ACTION, Some(unknown)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let error = world.graph_as(&world.owner, "POST", ACTION, Some(json!({"lifetime": 1}))).await.unwrap_err();
    assert!(error.message.contains("lifetime"), "{error}");
}

#[tokio::test]
async fn the_own_person_is_made_once_and_counts_as_an_owner_with_a_password_only() {
    let world = World::new().await;
    let first = world.directory("POST", ACTION, Some(json!({}))).await;
    let second = world.directory("POST", ACTION, Some(json!({}))).await;
    assert_eq!(first["id"], second["id"]);
    assert_eq!(refused(&world, &ticket(&first)).await, 90_101, "another link ends the one before");
    let id = first["id"].as_str().unwrap();
    let roles = format!("/subscriptions/{}/providers/Microsoft.Authorization/roleAssignments", world.subscription);
    let all = world.get(&roles, "2022-04-01").await;
    let of = |principal: &str| {
        let found = all["value"].as_array().unwrap().iter();
        found.filter(|one| one["properties"]["principalId"] == principal).collect::<Vec<_>>()
    };
    let [role] = of(id)[..] else { panic!("{all}") };
    assert_eq!(role["properties"]["principalType"], "User");
    // Nobody could sign it in any more: links are made by another Owner.
    let founding = of(world.owner.id())[0]["id"].as_str().unwrap().to_owned();
    let error = world.send(&world.owner, "DELETE", &founding, "2022-04-01", None).await.unwrap_err();
    assert_eq!(error.code, "LastRbacAdmin");
    let password = json!({"passwordProfile": {"password": PASSWORD}});
    world.directory("PATCH", &format!("users/{id}"), Some(password)).await;
    assert_eq!(world.send(&world.owner, "DELETE", &founding, "2022-04-01", None).await.unwrap().status, 200);
}
