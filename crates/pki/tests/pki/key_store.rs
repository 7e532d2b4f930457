//! The suite of key stores over an engine that is not in the process, and issuing through it.

use crate::openssl::{Oracle, assert_ok, leaf_fields, new_key};
use async_trait::async_trait;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::random::Random;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::{create_issuing, create_root};
use ferrohub_pki::issue::{Issuer, Serial};
use ferrohub_pki::key_store::conformance::{self, Place};
use ferrohub_pki::key_store::distant::DistantKeys;
use ferrohub_pki::key_store::{KeyStore, distant};
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::Signer;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

struct Cable(DistantKeys);

#[async_trait]
impl Place for Cable {
    async fn open(&self) -> Arc<dyn KeyStore> {
        Arc::new(self.0.clone())
    }

    fn exports(&self) -> bool {
        false
    }
}

/// Polls until the device has answered.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

#[test]
fn a_distant_engine_passes_the_suite() {
    let keys = DistantKeys::default();
    wait(conformance::run(&Cable(keys.clone()), &SystemRandom));
    assert!(keys.waits() > 20, "the suite ran against something that waits");
}

#[test]
fn openssl_accepts_a_chain_whose_keys_are_far_away() {
    let (oracle, keys, now) = (Oracle::new(), DistantKeys::default(), SystemClock.now());
    let name = |scope: &str| KeyReference {
        engine: distant::ENGINE.into(),
        scope: scope.into(),
        id: SystemRandom.uuid_v4(),
        exportable: false,
    };
    let subject = |text: &str| SubjectName::parse(text).unwrap();
    let key = wait(keys.generate(&name("n1"), KeyKind::P384)).unwrap();
    let root = wait(create_root(subject("CN=Distant Root"), key, &SystemRandom, now)).unwrap();
    let reference = name("n1");
    let key = wait(keys.generate(&reference, KeyKind::P384)).unwrap();
    let profile = Profile::issuing(subject("CN=Distant Policy"), None).unwrap();
    let made = wait(create_issuing(&root, &profile, key, &SystemRandom, now)).unwrap();
    // As after a restart: the certificate from its row, the key by its reference.
    let key = wait(KeyStore::open(&keys, &reference)).unwrap();
    let issuing = wait(Issuer::new(made.certificate().clone(), key)).unwrap();
    let profile = Profile::leaf(LeafFields { crl_url: None, ..leaf_fields("device-1") }).unwrap();
    let device = new_key(KeyKind::P256);
    let prepared = issuing.prepare(&profile, device.public_key_info_der(), Serial::random(&SystemRandom), now).unwrap();
    let leaf = wait(prepared.issue()).unwrap();
    let (issuing, root) = (issuing.certificate().to_pem(), root.certificate().to_pem());
    assert_ok(&oracle.verify("sslclient", &leaf.to_pem(), &issuing, &root, &[]), "distant chain");
}
