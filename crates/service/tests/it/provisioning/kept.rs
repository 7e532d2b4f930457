//! Data that earlier programs made: every later program opens it and goes on with it.
//!
//! `tests/fixtures/data-N` holds the store and the log of a small plant, made by the first program of format N and never
//! made anew; its master key is the one of these tests. After the format was raised,
//! `FERROHUB_MAKE_FIXTURE=1 cargo test -p ferrohub-service --test it kept` adds the folder that is missing.

use super::world::{World, csr, verify_chain};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ferrohub_messaging::{NewEvent, ReadFrom};
use ferrohub_service::hub::{identity, twins};
use ferrohub_service::provisioning::EnrollmentKind::Group;
use serde_json::json;
use std::path::{Path, PathBuf};

const FORMATS: [u32; 2] = [2, 3];

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/data-{format}"))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn make(format: u32) {
    let world = World::new().await;
    let twin = json!({"tags": {"line": 7}, "properties": {"desired": {"rate": 5}}});
    let key = world.group("g1", json!({"credentialPolicyName": "default", "initialTwin": twin})).await;
    let request = csr(world.folder.path(), "pump-1", &[]);
    assert_eq!(world.register(&key, "pump-1", Some(request)).await["status"], "assigned");
    let stream = world.stored(&world.hub_id("hub1")).await.uid;
    let event = NewEvent { stream, partition: 0, properties: Default::default(), body: Bytes::from("21 C") };
    world.platform().log.append(vec![event]).await.unwrap();
    world.platform().log.close().await.unwrap();
    let World { folder, installation, owner, .. } = world;
    drop((installation, owner));
    for name in ["store.db", "log"] {
        let (from, to) = (folder.path().join(name), fixture(format).join(name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::create_dir_all(fixture(format)).unwrap();
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_every_format_is_opened_and_goes_on() {
    for format in FORMATS {
        if !fixture(format).exists() {
            assert!(std::env::var_os("FERROHUB_MAKE_FIXTURE").is_some(), "there is no fixture of format {format}");
            make(format).await;
        }
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture(format), folder.path());
        let world = World::made_earlier(folder).await;

        let stream = world.stored(&world.hub_id("hub1")).await.uid;
        let events = world.platform().log.read(stream, 0, ReadFrom::Beginning, 10, 1 << 20).await.unwrap();
        assert_eq!(events.iter().map(|event| &event.body[..]).collect::<Vec<_>>(), [b"21 C"], "format {format}");
        let store = world.platform().store.as_ref();
        let device = identity::load(store, stream, "pump-1").await.unwrap().unwrap().device;
        let twin = twins::load(store, device.uid).await.unwrap().unwrap().twin;
        assert_eq!((&twin.tags["line"], &twin.desired.properties["rate"]), (&json!(7), &json!(5)));
        assert_eq!(world.registry().await["pump-1"]["uid"], device.uid.to_string());

        // What was sealed then opens now: the group's keys, the linked hub's, the issuing CA's.
        let dps = world.dps().await;
        let mechanism = world.service().attestation_mechanism(&world.caller().await, &dps, Group, "g1").await.unwrap();
        let key = STANDARD.decode(mechanism["symmetricKey"]["primaryKey"].as_str().unwrap()).unwrap();
        for id in ["pump-1", "pump-2"] {
            let done = world.register(&key, id, Some(csr(world.folder.path(), id, &[]))).await;
            verify_chain(world.folder.path(), &done);
        }
        let again = identity::load(store, stream, "pump-1").await.unwrap().unwrap().device;
        assert_eq!(again.uid, device.uid, "the device is the one it was");
    }
}
