//! The engine on SoftHSM2, a token in software that nobody here wrote. Debian: apt install softhsm2 opensc.
//!
//! SoftHSM takes its folder from an environment variable when the library is initialized, which happens once per process.
//! So every test runs itself again in a process of its own, with a token of its own.
#![cfg(test)]

mod bench;

use async_trait::async_trait;
use bench::{Bench, in_a_process_of_its_own};
use ferrohub_keys_pkcs11::{ENGINE, Pin, Pkcs11Keys};
use ferrohub_model::error::ErrorKind;
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::limits::TOKEN_QUEUE;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::key_store::KeyStore;
use ferrohub_pki::key_store::conformance::{self, Place};
use ferrohub_pki::random::SystemRandom;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

struct OnTheToken<'a>(&'a Bench);

#[async_trait]
impl Place for OnTheToken<'_> {
    async fn open(&self) -> Arc<dyn KeyStore> {
        Arc::new(self.0.keys())
    }

    fn exports(&self) -> bool {
        false
    }
}

fn name(id: u128) -> KeyReference {
    KeyReference { engine: ENGINE.into(), scope: "plant".into(), id: Uuid::from_u128(id), exportable: false }
}

#[test]
fn it_passes_the_suite() {
    in_a_process_of_its_own("it_passes_the_suite", async |bench| {
        conformance::run(&OnTheToken(bench), &SystemRandom).await;
    });
}

#[test]
fn keys_never_leave_the_token() {
    in_a_process_of_its_own("keys_never_leave_the_token", async |bench| {
        let keys = bench.keys();
        for (id, kind) in [(1, KeyKind::P384), (2, KeyKind::P256), (3, KeyKind::Rsa(3072))] {
            keys.generate(&name(id), kind).await.unwrap();
        }
        let shown = bench.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
        assert_eq!(shown.matches("Private Key Object").count(), 3, "{shown}");
        assert_eq!(shown.matches("label:      ferrohub:plant").count(), 3, "{shown}");
        assert_eq!(shown.matches("sensitive, always sensitive, never extractable, local").count(), 3, "{shown}");
        let uses: Vec<&str> = shown.lines().filter(|line| line.contains("Usage:")).map(str::trim).collect();
        assert_eq!(uses, ["Usage:      sign"; 3], "{shown}");
        assert!(shown.contains(&format!("ID:         {:032x}", 1)), "{shown}");
        keys.destroy(&name(2)).await.unwrap();
        let shown = bench.pkcs11_tool(&["--list-objects"]);
        assert_eq!((shown.matches("Private Key").count(), shown.matches("Public Key").count()), (2, 2), "{shown}");
    });
}

#[test]
fn a_lost_token_is_named_and_taken_again_when_it_is_back() {
    in_a_process_of_its_own("a_lost_token_is_named_and_taken_again_when_it_is_back", async |bench| {
        let keys = bench.keys();
        let key = keys.generate(&name(1), KeyKind::P384).await.unwrap();
        bench.pull_out();
        // What was opened before it was pulled out fails too, soon: a library may answer for a while from its memory.
        let mut lost = None;
        for _ in 0..50 {
            if let Err(error) = keys.open(&name(1)).await {
                lost = Some(error);
                break;
            }
            bench.pause().await;
        }
        let error = lost.expect("the token is gone");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("'plant-token'"), "{error}");
        let error = key.sign(b"x").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("'plant-token'"), "{error}");
        bench.plug_in();
        bench.pause().await;
        key.sign(b"x").await.expect("the same signer works again");
        keys.open(&name(1)).await.expect("the key is found again");
    });
}

#[test]
fn a_wrong_pin_is_told_and_not_tried_twice() {
    in_a_process_of_its_own("a_wrong_pin_is_told_and_not_tried_twice", async |bench| {
        let file = bench.pin_file("0000");
        let keys = bench.keys_with(Pin::File(file.clone()), bench.module());
        let error = keys.probe().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("refused the PIN"), "{error}");
        for _ in 0..3 {
            bench.pause().await;
            let error = keys.probe().await.unwrap_err();
            assert!(error.message.contains("not tried again"), "{error}");
            assert!(!error.message.contains("0000"), "{error}");
        }
        bench.pin_file(bench::PIN);
        bench.pause().await;
        keys.probe().await.expect("the right PIN is taken without a restart");
    });
}

#[test]
fn what_is_not_there_is_named() {
    in_a_process_of_its_own("what_is_not_there_is_named", async |bench| {
        let module = PathBuf::from("/nonexistent/libtoken.so");
        let keys = bench.keys_with(bench.pin(), module);
        let error = keys.probe().await.unwrap_err();
        assert!(error.message.contains("'plant-token'"), "{error}");
        assert!(error.context.unwrap().contains("/nonexistent/libtoken.so"));
        let keys = bench.keys_labelled("another-token");
        let error = keys.open(&name(1)).await.err().unwrap();
        assert!(error.message.contains("'another-token' is not there"), "{error}");
        // Of a key that the token does not have, the token says so, and others go on.
        let keys = bench.keys();
        assert!(keys.open(&name(404)).await.is_err());
        keys.generate(&name(1), KeyKind::P256).await.unwrap();
    });
}

#[test]
fn more_requests_than_it_takes_are_refused() {
    in_a_process_of_its_own("more_requests_than_it_takes_are_refused", async |bench| {
        let keys: Arc<Pkcs11Keys> = Arc::new(bench.keys());
        let key = keys.generate(&name(1), KeyKind::P384).await.unwrap();
        let asked = (0..4 * TOKEN_QUEUE).map(|_| {
            let key = Arc::clone(&key);
            tokio::spawn(async move { key.sign(b"x").await })
        });
        let (mut signed, mut refused) = (0, 0);
        for outcome in asked.collect::<Vec<_>>() {
            match outcome.await.unwrap() {
                Ok(_) => signed += 1,
                Err(error) => {
                    assert!(error.message.contains("requests waiting"), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(signed >= TOKEN_QUEUE && refused > 0, "{signed} signed, {refused} refused");
        key.sign(b"x").await.expect("it takes requests again");
    });
}
