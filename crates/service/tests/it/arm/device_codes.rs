//! Codes of devices that wait to be typed: how many, and of whom.

use super::fixture::World;
use ferrohub_service::tables::DEVICE_CODES;
use ferrohub_store::{Page, Row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Azure CLI.
const CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

async fn begin(world: &World, address: [u8; 4]) -> Result<Value, &'static str> {
    let form = [("client_id", CLI), ("scope", "https://management.azure.com/.default")];
    let form: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let begun = world.service().authn.device_code("organizations", &form, "https://x", Some(address.into()), true);
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
}
