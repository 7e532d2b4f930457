//! Many devices that register in the same second, over TLS and MQTT.

use crate::journey::Plant;
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_pki::certificate::Certificate;
use ferrohub_service::tables::{CERTIFICATES, DEVICES};
use ferrohub_store::Page;
use std::collections::HashSet;

const DEVICES_AT_ONCE: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_a_crowd_gets_its_own_identity_and_certificate_and_none_gets_two() {
    let plant = Plant::build().await;
    let key = DeviceKey::generate().unwrap();
    let ids: Vec<String> = (0..DEVICES_AT_ONCE).map(|number| format!("crowd-{number:03}")).collect();
    // The client waits as long as it is told, and comes again where it is told to.
    let all = ids.iter().map(|id| plant.register(id, &key));
    let mut serials = HashSet::new();
    for (id, registration) in ids.iter().zip(futures_util::future::join_all(all).await) {
        assert_eq!(&registration.device_id, id);
        let leaf = Certificate::from_der(&registration.chain[0]).unwrap();
        assert_eq!((leaf.common_name(), registration.chain.len()), (Some(id.as_str()), 3));
        assert!(serials.insert(leaf.serial_hex().to_owned()), "{id} got another's certificate");
    }
    for table in [&DEVICES, &CERTIFICATES] {
        let rows = plant.rig.store.scan(table, "", Page::first(5000)).await.unwrap();
        assert_eq!(rows.len(), DEVICES_AT_ONCE, "{}: no more than were asked for", table.name);
    }
    plant.rig.stop().await;
}
