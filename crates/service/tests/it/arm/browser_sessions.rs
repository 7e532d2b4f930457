//! What becomes of the programs that were signed in in a browser when its session ends, is followed by another, or is signed out.

use super::fixture::World;
use super::people::PASSWORD;
use super::workers::work_until;
use ferrohub_model::limits::SESSIONS_OF_A_PERSON;
use ferrohub_service::authn::{Browser, Next};
use ferrohub_service::tables::{REFRESH_CHAINS, SESSIONS};
use ferrohub_store::{Page, Put, Table, UnitOfWork};
use serde_json::Value;
use std::time::Duration;

/// Azure CLI.
const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const REDIRECT: &str = "http://localhost:8400";
/// Appendix B of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const HOUR: Duration = Duration::from_secs(3600);

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn browser(session: Option<&str>) -> Browser<'_> {
    Browser { origin: "https://portal.localhost:8443", session, binding: "a browser's own", address: None }
}

/// The form that Azure CLI has a browser with this cookie show.
async fn form(world: &World, session: Option<&str>) -> String {
    let asked = fields(&[
        ("client_id", CLI),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "https://management.azure.com/.default offline_access"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "select_account"),
    ]);
    let step = world.service().authn.authorize("organizations", &asked, browser(session), true).await.unwrap();
    let Next::Form(form) = step.next else { panic!("no form: {step:?}") };
    form.flow
}

/// Signs a person in by a form, for Azure CLI, in a browser with this cookie: its new cookie, and the code.
async fn code(world: &World, session: Option<&str>, alias: &str) -> (String, String) {
    let (flow, name) = (form(world, session).await, format!("{alias}@plant.example"));
    let filled = fields(&[("flow", &flow), ("username", &name), ("password", PASSWORD)]);
    let step = world.service().authn.proceed(&filled, browser(session)).await.unwrap();
    let cookie = step.session.as_ref().unwrap().as_str().to_owned();
    let Next::Back(back) = step.next else { panic!("not back: {step:?}") };
    let code = back.fields.iter().find(|(name, _)| *name == "code").unwrap().1.clone();
    (cookie, code)
}

async fn token(world: &World, form: &[(&str, &str)]) -> Result<Value, u32> {
    let answer = world.service().authn.token("organizations", &fields(form), None, None, true).await;
    answer.map_err(|error| error.code)
}

async fn redeem(world: &World, code: &str) -> Result<Value, u32> {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLI),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    token(world, &form).await
}

async fn refresh(world: &World, former: &Value) -> Result<Value, u32> {
    let former = former["refresh_token"].as_str().unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", CLI),
        ("refresh_token", former),
        ("scope", "https://management.azure.com/.default"),
    ];
    token(world, &form).await
}

async fn rows(world: &World, table: &'static Table) -> usize {
    world.platform().store.last(table, "", Page::first(100)).await.unwrap().len()
}

#[tokio::test]
async fn signing_out_ends_programs_that_outlived_their_session() {
    let world = World::new().await;
    world.user("ann").await;
    let (cookie, first) = code(&world, None, "ann").await;
    let program = redeem(&world, &first).await.unwrap();
    let (idle, _) = code(&world, None, "ann").await;
    world.clock.advance(25 * HOUR);
    let program = refresh(&world, &program).await.unwrap();
    // A session of which nothing came is swept, the other one is needed to sign out.
    work_until(&world, "the sweep", HOUR / 4, async || rows(&world, &SESSIONS).await == 1).await;
    assert_eq!(world.service().authn.sign_out(Some(&idle)).await.unwrap(), None);
    assert_eq!(world.service().authn.sign_out(Some(&cookie)).await.unwrap().as_deref(), Some("ann@plant.example"));
    assert_eq!(refresh(&world, &program).await, Err(50_173));
    assert_eq!((rows(&world, &SESSIONS).await, rows(&world, &REFRESH_CHAINS).await), (0, 0));
}

/// Whoever signed out is out, also where the store failed behind the session: nothing else is left to sign out with.
#[tokio::test]
async fn a_session_that_is_gone_takes_its_programs_along() {
    let world = World::new().await;
    world.user("ann").await;
    let (_, first) = code(&world, None, "ann").await;
    let program = redeem(&world, &first).await.unwrap();
    let store = &world.platform().store;
    let rows = store.last(&SESSIONS, "", Page::first(2)).await.unwrap();
    let mut unit = UnitOfWork::new();
    unit.delete(&SESSIONS, rows[0].key.clone());
    store.commit(unit).await.unwrap();
    assert_eq!(refresh(&world, &program).await, Err(50_173));
}

#[tokio::test]
async fn programs_may_share_a_token_for_a_minute_and_whoever_comes_later_ends_it() {
    let world = World::new().await;
    world.user("ann").await;
    let (_, first) = code(&world, None, "ann").await;
    let first = redeem(&world, &first).await.unwrap();
    // Slower ones come with what those before them have used already.
    let second = refresh(&world, &first).await.unwrap();
    world.clock.advance(Duration::from_secs(30));
    let third = refresh(&world, &second).await.unwrap();
    world.clock.advance(Duration::from_secs(29));
    for shared in [&first, &second, &first] {
        refresh(&world, shared).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(1));
    refresh(&world, &second).await.unwrap();
    assert_eq!(refresh(&world, &first).await, Err(70_000), "a minute after its follower");
    assert_eq!(refresh(&world, &third).await, Err(50_173), "one of two holds what it stole");
}

#[tokio::test]
async fn the_next_session_of_a_browser_takes_the_programs_of_the_same_person_over() {
    let world = World::new().await;
    world.user("ann").await;
    world.user("bob").await;
    let (morning, first) = code(&world, None, "ann").await;
    let program = redeem(&world, &first).await.unwrap();
    let (evening, _) = code(&world, Some(&morning), "ann").await;
    assert_eq!(rows(&world, &SESSIONS).await, 1, "one browser has one session");
    let program = refresh(&world, &program).await.unwrap();
    // A cookie that somebody made up replaces nothing.
    let (id, secret) = evening.split_at(22);
    let (elsewhere, _) = code(&world, Some(&format!("{id}{}", secret.chars().rev().collect::<String>())), "bob").await;
    let program = refresh(&world, &program).await.unwrap();
    assert_eq!(world.service().authn.sign_out(Some(&morning)).await.unwrap(), None);
    world.service().authn.sign_out(Some(&evening)).await.unwrap().unwrap();
    assert_eq!(refresh(&world, &program).await, Err(50_173));

    // Nobody could sign bob's program out any more once ann has his browser.
    let (bob, second) = code(&world, Some(&elsewhere), "bob").await;
    let program = redeem(&world, &second).await.unwrap();
    code(&world, Some(&bob), "ann").await;
    assert_eq!(refresh(&world, &program).await, Err(50_173));
}

/// Sessions of the person of the row that was written last, as many as it may have in all.
async fn fill_up(world: &World) {
    let store = &world.platform().store;
    let rows = store.scan(&SESSIONS, "", Page::first(SESSIONS_OF_A_PERSON as usize)).await.unwrap();
    let like = rows.last().unwrap();
    let mut unit = UnitOfWork::new();
    for number in rows.len()..SESSIONS_OF_A_PERSON as usize {
        let key = format!("ffffffff-0000-7000-8000-{number:012}");
        unit.put(Put::new(&SESSIONS, key, like.columns.clone(), &like.value().unwrap()).unwrap());
    }
    store.commit(unit).await.unwrap();
}

#[tokio::test]
async fn a_browser_that_signs_in_anew_takes_no_place_of_another_one() {
    let world = World::new().await;
    // Keys of rows are in the order of time, from one moment to the next.
    let code = async |session: Option<&str>| {
        world.clock.advance(Duration::from_millis(1));
        code(&world, session, "ann").await
    };
    world.user("ann").await;
    let (oldest, first) = code(None).await;
    let of_oldest = redeem(&world, &first).await.unwrap();
    let (second, _) = code(None).await;
    fill_up(&world).await;
    assert_eq!(rows(&world, &SESSIONS).await, 100);
    let (second, _) = code(Some(&second)).await;
    assert_eq!(rows(&world, &SESSIONS).await, 100);
    let of_oldest = refresh(&world, &of_oldest).await.unwrap();
    // The oldest one is not thrown out by its own browser either: its programs would be signed out.
    let (oldest, _) = code(Some(&oldest)).await;
    assert_eq!(rows(&world, &SESSIONS).await, 100);
    let of_oldest = refresh(&world, &of_oldest).await.unwrap();
    // A further browser does cost the oldest one its place, which is the second one's by now.
    code(None).await;
    assert_eq!(rows(&world, &SESSIONS).await, 100);
    assert_eq!(world.service().authn.sign_out(Some(&second)).await.unwrap(), None);
    refresh(&world, &of_oldest).await.unwrap();
    assert!(world.service().authn.sign_out(Some(&oldest)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_code_that_comes_again_ends_what_came_of_it_and_nothing_else() {
    let world = World::new().await;
    world.user("ann").await;
    let (cookie, first) = code(&world, None, "ann").await;
    let program = redeem(&world, &first).await.unwrap();
    let (_, second) = code(&world, Some(&cookie), "ann").await;
    let other = redeem(&world, &second).await.unwrap();
    assert_eq!(redeem(&world, &first).await, Err(54_005));
    assert_eq!(refresh(&world, &program).await, Err(50_173));
    assert!(refresh(&world, &other).await.is_ok());
    assert_eq!(redeem(&world, &first).await, Err(70_008), "and is forgotten");
}

/// A password stands in the form, and is judged by no other step: none of them may count as a right one.
#[tokio::test]
async fn no_other_step_of_a_form_takes_a_lock_away() {
    let world = World::new().await;
    world.user("ann").await;
    let flow = form(&world, None).await;
    let tried = async |step: &[(&str, &str)]| {
        let filled =
            [&[("flow", flow.as_str()), ("username", "ann@plant.example"), ("password", "Wrong-Horse-1")], step];
        let step = world.service().authn.proceed(&fields(&filled.concat()), browser(None)).await.unwrap();
        let Next::Form(form) = step.next else { panic!("no form: {step:?}") };
        form.fault.is_some_and(|fault| fault.is_locked())
    };
    // In each process: an address is counted where it comes.
    let processes = world.platforms().len();
    let (mut tries, mut locked) = (0, 0);
    while locked < processes {
        locked = if tried(&[]).await { locked + 1 } else { 0 };
        tries += 1;
        assert!(tries < 100, "nothing locks");
    }
    for step in ["other", "code", "known", "new-password", "link", "link-and-password", "what"] {
        // Some of them are refused for what they lack.
        let filled = fields(&[
            ("flow", &flow),
            ("step", step),
            ("username", "ann@plant.example"),
            ("password", PASSWORD),
            ("code", "ABCD"),
        ]);
        drop(world.service().authn.proceed(&filled, browser(None)).await);
        for _ in 0..processes {
            assert!(tried(&[]).await, "{step}");
        }
    }
}
