//! Codes of devices that wait to be typed: how many, and of whom.

use super::between::writes_any;
use super::fixture::World;
use ferrohub_service::Service;
use ferrohub_service::platform::{Change, Platform};
use ferrohub_service::tables::DEVICE_CODES;
use ferrohub_store::{Page, Put, Row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Azure CLI.
const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

async fn begin(world: &World, address: [u8; 4]) -> Result<Value, &'static str> {
    begin_at(world.service(), address).await
}

async fn begin_at(service: &Service, address: [u8; 4]) -> Result<Value, &'static str> {
    let form = [("client_id", CLI), ("scope", "https://management.azure.com/.default")];
    let form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let begun = service.authn.device_code("organizations", &form, "https://x", Some(address.into()), true);
    begun.await.map_err(|error| error.error)
}

#[tokio::test]
async fn an_address_has_twenty_codes_that_wait_and_the_ended_ones_do_not_count() {
    let world = World::new().await;
    for number in 0..20 {
        assert!(begin(&world, [203, 0, 113, 1]).await.is_ok(), "{number}");
    }
    assert_eq!(begin(&world, [203, 0, 113, 1]).await, Err("slow_down"));
    assert!(begin(&world, [203, 0, 113, 2]).await.is_ok());
    world.clock.advance(Duration::from_secs(15 * 60));
    assert!(begin(&world, [203, 0, 113, 1]).await.is_ok(), "nobody swept, but they have ended");
}

#[tokio::test]
async fn of_two_that_take_the_last_place_at_once_one_has_it() {
    let world = World::new().await;
    for _ in 0..19 {
        begin(&world, [203, 0, 113, 1]).await.unwrap();
    }
    let other = world.service().clone();
    world.store.meanwhile(writes_any(&DEVICE_CODES), async move {
        assert!(begin_at(&other, [203, 0, 113, 1]).await.is_ok());
    });
    assert_eq!(begin(&world, [203, 0, 113, 1]).await, Err("slow_down"));
    assert!(world.store.happened());
    assert_eq!(world.platform().store.count(&DEVICE_CODES, "address", "203.0.113.1").await.unwrap(), 20);
}

/// Another one that found the last place free, and was written right after, has none: this one keeps it.
#[tokio::test]
async fn who_was_written_first_keeps_the_last_place() {
    let world = World::new().await;
    for _ in 0..19 {
        begin(&world, [203, 0, 113, 1]).await.unwrap();
    }
    let platform = Arc::clone(world.platform());
    // The second look at the codes of the address is the one after it was written.
    world.store.before_read(&DEVICE_CODES, 1, async move {
        let rows = platform.store.scan(&DEVICE_CODES, "", Page::first(1)).await.unwrap();
        copy(&platform, &rows[0], "z").await;
    });
    assert!(begin(&world, [203, 0, 113, 1]).await.is_ok());
    assert_eq!(world.platform().store.count(&DEVICE_CODES, "address", "203.0.113.1").await.unwrap(), 21);
}

/// Writes a code like this one, with `suffix` behind its key and what people type.
async fn copy(platform: &Platform, row: &Row, suffix: &str) {
    let (mut change, mut columns) = (Change::new(), row.columns.clone());
    let typed = DEVICE_CODES.columns.iter().position(|column| column.name == "user_code").unwrap();
    columns[typed] = columns[typed].take().map(|text| format!("{text}{suffix}"));
    let key = format!("{}{suffix}", row.key);
    change.unit.put(Put::new(&DEVICE_CODES, key, columns, &row.value().unwrap()).unwrap());
    platform.commit(change).await.unwrap();
}

/// How a device that asks whether somebody said yes is answered.
async fn ask(service: &Service, code: &str) -> &'static str {
    let form =
        [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("client_id", CLI), ("device_code", code)];
    let form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    service.authn.token("organizations", &form, None, None, true).await.unwrap_err().error
}

#[tokio::test]
async fn of_two_questions_at_once_one_came_too_early() {
    let world = World::new().await;
    let begun = begin(&world, [203, 0, 113, 1]).await.unwrap();
    let code = begun["device_code"].as_str().unwrap().to_owned();
    let (other, same) = (world.service().clone(), code.clone());
    world.store.meanwhile(writes_any(&DEVICE_CODES), async move {
        assert_eq!(ask(&other, &same).await, "authorization_pending");
    });
    let slower = Box::pin(world.while_time_passes(ask(world.service(), &code))).await;
    assert_eq!(slower, "slow_down");
    assert!(world.store.happened());
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(ask(world.service(), &code).await, "authorization_pending");
}

#[tokio::test]
async fn who_asks_for_very_many_keeps_nobody_else_out() {
    let world = World::new().await;
    for number in 0..50 {
        for _ in 0..20 {
            begin(&world, [203, 0, 113, number]).await.unwrap();
        }
    }
    let addresses = async || {
        let rows = world.platform().store.scan(&DEVICE_CODES, "", Page::first(1000)).await.unwrap();
        let of = |row: &Arc<Row>| row.value().unwrap()["address"].as_str().unwrap().to_owned();
        rows.iter().map(of).fold(BTreeMap::<String, usize>::new(), |mut counted, address| {
            *counted.entry(address).or_default() += 1;
            counted
        })
    };
    begin(&world, [192, 0, 2, 1]).await.unwrap();
    begin(&world, [192, 0, 2, 2]).await.unwrap();
    let counted = addresses().await;
    assert_eq!((counted["192.0.2.1"], counted["192.0.2.2"], counted.len()), (1, 1, 52));
    assert_eq!(counted.values().sum::<usize>(), 1000, "two of the fullest addresses went");
    assert_eq!(counted.values().filter(|count| **count == 19).count(), 2);
    // Some that came in at once are more than a client has; with the next one as many go.
    let rows = world.platform().store.scan(&DEVICE_CODES, "", Page::first(3)).await.unwrap();
    for row in &rows {
        copy(world.platform(), row, "z").await;
    }
    begin(&world, [192, 0, 2, 3]).await.unwrap();
    assert_eq!(addresses().await.values().sum::<usize>(), 1000);
}
