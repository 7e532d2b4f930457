//! The suite that every engine passes.
//!
//! An engine's test implements [`Place`] and calls [`run`]. Each check panics with a sentence when the engine breaks
//! the contract of [`KeyStore`].
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a conformance suite reports by panicking, and looks at the keys it had made"
)]

use super::KeyStore;
use crate::algorithm::{self, KeyKind};
use crate::public_key::PublicKey;
use crate::signer::Signer;
use async_trait::async_trait;
use ferrohub_model::error::ErrorKind;
use ferrohub_model::key_reference::KeyReference;
use ferrohub_model::random::Random;
use spki::AlgorithmIdentifierRef;
use std::sync::Arc;

/// Where an engine keeps its keys, and whether it gives some of them out.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens the engine over the same keys as before, as a new start of the program does.
    async fn open(&self) -> Arc<dyn KeyStore>;

    /// Whether the engine makes exportable keys.
    fn exports(&self) -> bool;
}

/// Kinds that every engine makes: those of authorities and servers, and the one that signs tokens.
const KINDS: [KeyKind; 5] = [KeyKind::P384, KeyKind::P256, KeyKind::P521, KeyKind::Rsa(3072), KeyKind::Rsa(2048)];

/// Runs every check.
pub async fn run(place: &dyn Place, random: &dyn Random) {
    for kind in KINDS {
        a_key_signs_and_opens_after_a_restart(place, random, kind).await;
    }
    kinds_that_nobody_makes_are_refused(place, random).await;
    a_name_is_used_once(place, random).await;
    names_that_are_not_the_keys_do_not_open(place, random).await;
    a_destroyed_key_is_gone(place, random).await;
    a_key_is_given_out_only_when_made_for_it(place, random).await;
}

fn new_name(engine: &dyn KeyStore, random: &dyn Random) -> KeyReference {
    KeyReference {
        engine: engine.engine().to_owned(),
        scope: random.uuid_v4().to_string(),
        id: random.uuid_v4(),
        exportable: false,
    }
}

/// Signs, and verifies with the public half.
async fn assert_signs(signer: &dyn Signer, kind: KeyKind) {
    let key = PublicKey::from_spki(signer.public_key_info_der()).expect("the public key is a SubjectPublicKeyInfo");
    assert_eq!(key.kind(), kind, "the key has the kind that was asked for");
    assert_eq!(Some(signer.algorithm()), algorithm::SignatureAlgorithm::for_key(kind), "algorithm of {kind}");
    let identifier = AlgorithmIdentifierRef { oid: signer.algorithm().oid(), parameters: None };
    for message in [b"".as_slice(), b"message", &[7; 10_000]] {
        let signature = signer.sign(message).await.expect("the key signs");
        algorithm::verify(kind, key.bits(), &identifier, message, &signature).expect("the signature verifies");
        assert!(
            algorithm::verify(kind, key.bits(), &identifier, b"another message", &signature).is_err(),
            "a signature holds for its message only"
        );
    }
}

async fn a_key_signs_and_opens_after_a_restart(place: &dyn Place, random: &dyn Random, kind: KeyKind) {
    let engine = place.open().await;
    let name = new_name(&*engine, random);
    let made = engine.generate(&name, kind).await.expect("the engine makes the key");
    assert_signs(&*made, kind).await;
    let other = engine.generate(&new_name(&*engine, random), kind).await.expect("the engine makes a second key");
    assert_ne!(made.public_key_info_der(), other.public_key_info_der(), "two keys of kind {kind} are the same");
    drop(engine);
    let opened = place.open().await.open(&name).await.expect("the key opens after a restart");
    assert_eq!(opened.public_key_info_der(), made.public_key_info_der(), "it is the same key after a restart");
    assert_signs(&*opened, kind).await;
}

async fn kinds_that_nobody_makes_are_refused(place: &dyn Place, random: &dyn Random) {
    let engine = place.open().await;
    let name = new_name(&*engine, random);
    let refused = engine.generate(&name, KeyKind::Rsa(1024)).await.err().expect("RSA-1024 is too weak to be made");
    assert_eq!(refused.target.as_deref(), Some("keyType"), "{refused}");
    assert!(engine.open(&name).await.is_err(), "a key that was refused is not there");
}

async fn a_name_is_used_once(place: &dyn Place, random: &dyn Random) {
    let engine = place.open().await;
    let name = new_name(&*engine, random);
    let made = engine.generate(&name, KeyKind::P256).await.expect("the engine makes the key");
    let refused = engine.generate(&name, KeyKind::P256).await.err().expect("a second key under one name is refused");
    assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    let opened = engine.open(&name).await.expect("the first key is still there");
    assert_eq!(opened.public_key_info_der(), made.public_key_info_der(), "the first key was replaced");
}

async fn names_that_are_not_the_keys_do_not_open(place: &dyn Place, random: &dyn Random) {
    let engine = place.open().await;
    let name = new_name(&*engine, random);
    engine.generate(&name, KeyKind::P256).await.expect("the engine makes the key");
    // A scope that has keys of its own, so that it is not merely unknown.
    let neighbour = new_name(&*engine, random);
    engine.generate(&neighbour, KeyKind::P256).await.expect("the engine makes the neighbour's key");
    let wrong = [
        ("another id", KeyReference { id: random.uuid_v4(), ..name.clone() }),
        ("the scope of another namespace", KeyReference { scope: neighbour.scope.clone(), ..name.clone() }),
        ("an unknown scope", KeyReference { scope: random.uuid_v4().to_string(), ..name.clone() }),
        ("another engine", KeyReference { engine: format!("not-{}", name.engine), ..name.clone() }),
    ];
    for (what, reference) in wrong {
        assert!(engine.open(&reference).await.is_err(), "a key opened under {what}");
    }
    engine.open(&name).await.expect("the key still opens under its own name");
}

async fn a_destroyed_key_is_gone(place: &dyn Place, random: &dyn Random) {
    let engine = place.open().await;
    let (name, other) = (new_name(&*engine, random), new_name(&*engine, random));
    engine.destroy(&name).await.expect("destroying a key that was never made does nothing");
    engine.generate(&name, KeyKind::P256).await.expect("the engine makes the key");
    engine.generate(&other, KeyKind::P256).await.expect("the engine makes another key");
    engine.destroy(&name).await.expect("the engine destroys the key");
    engine.destroy(&name).await.expect("destroying it again does nothing");
    assert!(engine.open(&name).await.is_err(), "a destroyed key opened");
    assert!(place.open().await.open(&name).await.is_err(), "a destroyed key opened after a restart");
    engine.open(&other).await.expect("the other key is untouched");
}

async fn a_key_is_given_out_only_when_made_for_it(place: &dyn Place, random: &dyn Random) {
    let engine = place.open().await;
    let kept = new_name(&*engine, random);
    engine.generate(&kept, KeyKind::P256).await.expect("the engine makes the key");
    assert!(engine.export(&kept).await.is_err(), "a key that is to stay was given out");
    // Whoever can write the row that holds the reference must not thereby get the key.
    let claimed = KeyReference { exportable: true, ..kept.clone() };
    assert!(engine.export(&claimed).await.is_err(), "a key was given out because its reference was changed");
    let given = KeyReference { exportable: true, ..new_name(&*engine, random) };
    let made = engine.generate(&given, KeyKind::P256).await;
    assert_eq!(made.is_ok(), place.exports(), "exportable keys are made, or refused when they are made");
    if let Ok(signer) = made {
        assert_signs(&*signer, KeyKind::P256).await;
        let exported = engine.export(&given).await.expect("an exportable key is given out");
        let copy = crate::signer::SoftwareSigner::from_pkcs8(&exported).expect("it is PKCS#8");
        assert_eq!(copy.public_key_info_der(), signer.public_key_info_der(), "it is the same key");
    }
}
