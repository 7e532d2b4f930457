//! Whoever tries passwords waits, through whatever process and from whatever address, and its owner gets in all the same.

use super::fixture::World;
use super::people::{GRAPH, PASSWORD, sign_in_through};
use ferrohub_model::error::ErrorKind;
use ferrohub_service::authn::{Audience, Browser, Next};
use ferrohub_service::tables;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const ANN: &str = "ann@plant.example";
/// Where Ann sits.
const HOME: [u8; 4] = [198, 51, 100, 1];
const WRONG: u32 = 50_126;
const LOCKED: u32 = 50_053;
/// What is answered where too many wait already.
const BUSY: u32 = 90_033;

/// What wrong passwords are answered with, one from each address, until they are not looked at.
async fn tried_from_everywhere(world: &World, name: &str) -> usize {
    for number in 0..=200 {
        let refused = world.sign_in_at([203, 0, 113, number], name, "Wrong-Horse-1").await.unwrap_err();
        if refused.code == LOCKED {
            assert!((1..=61).contains(&refused.retry_after.unwrap()), "{refused:?}");
            return usize::from(number);
        }
        assert_eq!(refused.code, WRONG, "{refused:?}");
    }
    panic!("two hundred wrong passwords were looked at")
}

async fn remembered(world: &World) -> u64 {
    {
        let rows = world.platform().store.scan(&tables::PASSWORD_GUESSES, "", ferrohub_store::Page::first(10)).await;
        rows.unwrap().len() as u64
    }
}

#[tokio::test]
async fn one_lock_is_known_to_every_process_and_outlives_it() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap();
    let looked_at = tried_from_everywhere(&world, ANN).await;
    assert!((31..=2 * 31).contains(&looked_at), "{looked_at}");
    let row =
        world.platform().store.get(&tables::PASSWORD_GUESSES, ann["id"].as_str().unwrap()).await.unwrap().unwrap();
    assert_eq!(row.value().unwrap()["anywhere"]["wrong"], 31);
    for round in 0..4u8 {
        let address = [192, 0, 2, round];
        assert_eq!(world.sign_in_at(address, ANN, PASSWORD).await.unwrap_err().code, LOCKED, "not even the right one");
        world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap();
    }
    // One is looked at when the time has come, and the next waits for longer, whoever is asked.
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(world.sign_in_at([192, 0, 2, 9], ANN, "Wrong-Horse-1").await.unwrap_err().code, WRONG);
    for round in 10..14u8 {
        assert_eq!(world.sign_in_at([192, 0, 2, round], ANN, PASSWORD).await.unwrap_err().code, LOCKED);
    }
    // At its end everything is as before.
    world.clock.advance(Duration::from_secs(61));
    world.sign_in_at([192, 0, 2, 20], ANN, PASSWORD).await.unwrap();
    world.directory("DELETE", &format!("users/{}", ann["id"].as_str().unwrap()), None).await;
    assert_eq!(remembered(&world).await, 0);
}

#[tokio::test]
async fn a_name_of_nobody_is_answered_alike_and_leaves_no_row() {
    let world = World::new().await;
    let looked_at = tried_from_everywhere(&world, "nobody@plant.example").await;
    assert!((31..=2 * 31).contains(&looked_at), "{looked_at}");
    assert_eq!(remembered(&world).await, 0);
}

#[tokio::test]
async fn the_current_password_is_no_way_to_guess_past_the_lock() {
    let world = World::new().await;
    world.user("ann").await;
    let token = world.sign_in_for(GRAPH, ANN, PASSWORD).await.unwrap();
    let token = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let ann = world.service().authn.bearer(Some(&token), Audience::Graph).await.unwrap();
    let change = async |current: &str| {
        let body = json!({"currentPassword": current, "newPassword": "Another-Horse-1"});
        world.graph_as(&ann, "POST", "me/changePassword", Some(body)).await
    };
    let mut looked_at = 0;
    let refused = loop {
        let refused = change("Wrong-Horse-1").await.unwrap_err();
        if refused.kind == ErrorKind::Throttled {
            break refused;
        }
        assert_eq!(refused.target.as_deref(), Some("currentPassword"));
        looked_at += 1;
        assert!(looked_at < 100);
    };
    assert!((11..=22).contains(&looked_at), "{looked_at}");
    assert_eq!((refused.http_status(), refused.code), (429, "TooManyRequests"));
    assert!((1..=61).contains(&refused.retry_after_seconds.unwrap()));
    // It is the same count as that of the sign-in from there, once each process has had its own.
    for _ in 0..30 {
        change("Wrong-Horse-1").await.unwrap_err();
    }
    assert_eq!(world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap_err().code, LOCKED);
    world.clock.advance(Duration::from_secs(61));
    change(PASSWORD).await.unwrap();
    world.sign_in_at(HOME, ANN, "Another-Horse-1").await.unwrap();
}

#[tokio::test]
async fn one_password_is_not_tried_with_every_name() {
    let world = World::new().await;
    world.user("ann").await;
    world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap();
    let mut looked_at = 0;
    for number in 0..250 {
        match world.sign_in_at(HOME, &format!("name-{number}@plant.example"), "Wrong-Horse-1").await.unwrap_err().code {
            WRONG => looked_at += 1,
            code => assert_eq!(code, LOCKED),
        }
    }
    assert!((101..=202).contains(&looked_at), "{looked_at}");
    world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_gets_one_guess_when_the_time_has_come_and_not_one_a_process() {
    let world = World::new().await;
    world.user("ann").await;
    tried_from_everywhere(&world, ANN).await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(62));
        let all = (0..12u8).map(|number| {
            let world = &world;
            async move { world.sign_in_at([192, 0, 2, number], ANN, "Wrong-Horse-1").await.unwrap_err().code }
        });
        let codes = futures_util::future::join_all(all).await;
        assert_eq!(codes.iter().filter(|code| **code == WRONG).count(), 1, "{codes:?}");
    }
}

#[tokio::test]
async fn whoever_was_counted_since_one_looked_has_the_guess() {
    let world = World::new().await;
    world.user("ann").await;
    tried_from_everywhere(&world, ANN).await;
    // The second look at the row is before the hash, the third one writes.
    for skipped in 0..3 {
        world.clock.advance(Duration::from_secs(62));
        let (service, platform) = (Arc::clone(world.service()), Arc::clone(world.platform()));
        world.store.before_read(&tables::PASSWORD_GUESSES, skipped, async move {
            let refused = sign_in_through(&service, &platform, [192, 0, 2, 1], ANN, "Wrong-Horse-1").await;
            assert_eq!(refused.unwrap_err().code, WRONG);
        });
        let refused = world.sign_in_at([192, 0, 2, 2], ANN, "Wrong-Horse-1").await.unwrap_err();
        assert_eq!((refused.code, world.store.happened()), (LOCKED, true), "after {skipped} looks");
    }
}

#[tokio::test]
async fn the_way_back_lifts_the_lock() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let at = format!("users/{}", ann["id"].as_str().unwrap());
    tried_from_everywhere(&world, ANN).await;
    assert_eq!(world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap_err().code, LOCKED);
    // Who came by a link is no stranger there.
    let made = world.directory("POST", "ferrohub.signInLink", Some(json!({"userPrincipalName": ANN}))).await;
    let ticket = made["path"].as_str().unwrap().split_once("ticket=").unwrap().1;
    let browser = Browser {
        origin: "https://portal.localhost:8443",
        session: None,
        binding: "a browser's own",
        address: Some(HOME.into()),
    };
    let step = world.service().authn.open_link(ticket, browser).await.unwrap();
    let Next::Form(form) = step.next else { panic!("no form: {step:?}") };
    let pressed = [("flow".to_owned(), form.flow), ("step".to_owned(), "link".to_owned())];
    world.service().authn.proceed(&pressed, browser).await.unwrap();
    world.sign_in_at(HOME, ANN, PASSWORD).await.unwrap();
    assert_eq!(world.sign_in_at([192, 0, 2, 1], ANN, PASSWORD).await.unwrap_err().code, LOCKED);
    // Whose password was set by an owner has it from anywhere, once no process knows better.
    world.directory("PATCH", &at, Some(json!({"passwordProfile": {"password": "Another-Horse-1"}}))).await;
    world.clock.advance(Duration::from_secs(3));
    world.sign_in_at([192, 0, 2, 1], ANN, "Another-Horse-1").await.unwrap();
    let row = world.platform().store.get(&tables::PASSWORD_GUESSES, ann["id"].as_str().unwrap()).await.unwrap();
    assert_eq!(row.unwrap().value().unwrap()["anywhere"]["wrong"], 0);
}

#[tokio::test]
async fn many_at_once_are_no_way_either() {
    let world = World::new().await;
    world.user("ann").await;
    let all = (0..90u8).map(|number| {
        let world = &world;
        async move { world.sign_in_at([203, 0, 113, number], ANN, "Wrong-Horse-1").await.unwrap_err().code }
    });
    let codes = Box::pin(world.while_time_passes(futures_util::future::join_all(all))).await;
    assert!(codes.iter().all(|code| [WRONG, LOCKED, BUSY].contains(code)), "{codes:?}");
    let looked_at = codes.iter().filter(|code| **code == WRONG).count();
    // Two hash at a time in each process, what one of two processes counts is its own until then, and a few waits end meanwhile.
    assert!(looked_at <= 2 * 32 + 16 && codes.contains(&LOCKED), "{looked_at}");
}
