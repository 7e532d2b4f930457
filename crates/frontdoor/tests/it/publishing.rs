//! The publishing point: revocation lists and certificates of authorities over plain HTTP.

use crate::journey::Plant;
use crate::rig::Rig;
use ferrohub_client::device::csr::DeviceKey;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::limits::{REVOCATION_LIST_PART_BYTES, UNIT_ROWS};
use ferrohub_model::uid::uid_key;
use ferrohub_service::tables::{REVOCATION_GENERATIONS, REVOCATIONS};
use ferrohub_store::{Put, UnitOfWork};
use serde_json::json;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

#[tokio::test]
async fn the_publishing_point_serves_what_certificates_name() {
    let plant = Plant::build().await;
    let own_key = DeviceKey::generate().unwrap();
    let registration = plant.register("d3", &own_key).await;
    let leaf = String::from_utf8_lossy(&registration.chain[0]).into_owned();
    let start = leaf.find("/crl/").unwrap();
    let path: String = leaf[start..].chars().take("/crl/00000000-0000-0000-0000-000000000000.crl".len()).collect();
    let list = published(&plant.rig, &path).await;
    // One that takes several rows is served whole, by each server.
    let authority = Uuid::parse_str(&path[5..41]).unwrap();
    let until = SystemClock.unix_seconds() + 86_400;
    let most = REVOCATION_LIST_PART_BYTES / 35 + 100;
    for first in (0..most).step_by(UNIT_ROWS - 1) {
        let mut unit = UnitOfWork::new();
        for number in first..most.min(first + UNIT_ROWS - 1) {
            let key = format!("{}/4{number:031x}", uid_key(authority));
            unit.put(Put::new(&REVOCATIONS, key, Vec::new(), &json!({"at": 1, "until": until})).unwrap());
        }
        unit.put(Put::new(&REVOCATION_GENERATIONS, authority.to_string(), Vec::new(), &json!({})).unwrap());
        plant.rig.store.commit(unit).await.unwrap();
    }
    let long = published(&plant.rig, &path).await;
    assert!(long.len() > REVOCATION_LIST_PART_BYTES && list.len() < 1000, "{} after {}", long.len(), list.len());
    for _ in 0..4 {
        assert!(published(&plant.rig, &path).await == long, "every server has the same list");
    }
    let issuer = published(&plant.rig, &format!("/ca/{authority}.cer")).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("list.crl"), &long).unwrap();
    std::fs::write(folder.path().join("ca.cer"), issuer).unwrap();
    let openssl = |arguments: &str| {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        said
    };
    openssl("x509 -inform DER -in ca.cer -out ca.pem");
    assert!(openssl("crl -inform DER -in list.crl -CAfile ca.pem -noout -crlnumber").contains("verify OK"));
    plant.rig.stop().await;
}

/// The body of what the publishing point serves under `path`, which is all that its head announces.
async fn published(rig: &Rig, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", rig.ports().pki.unwrap())).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let kind = if path.ends_with(".crl") { "application/pkix-crl" } else { "application/pkix-cert" };
    assert!(head.starts_with("http/1.1 200") && head.contains(kind), "{head}");
    let body = answer.split_off(end + 4);
    assert!(head.contains(&format!("content-length: {}", body.len())), "{} of {head}", body.len());
    body
}
