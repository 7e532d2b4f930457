//! Verifying a request and issuing a leaf: P-256 request, P-384 issuing CA.
//! The design asks for 4 000 per second on one core, that is 250 microseconds each.

#![expect(clippy::unwrap_used, reason = "a benchmark stops on the first fault")]

use criterion::{Criterion, criterion_group, criterion_main};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::{create_issuing, create_root};
use ferrohub_pki::csr::CertificateRequest;
use ferrohub_pki::issue::Serial;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::profile::{LeafFields, Profile};
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::SoftwareSigner;
use futures_util::FutureExt;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use uuid::Uuid;

/// A P-256 request from the openssl command line.
fn request() -> Vec<u8> {
    let folder = tempfile::TempDir::new().unwrap();
    let words =
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -outform DER -out r -subj /CN=device-1";
    let status = Command::new("openssl").current_dir(folder.path()).args(words.split(' ')).output().unwrap();
    assert!(status.status.success(), "openssl req failed");
    std::fs::read(folder.path().join("r")).unwrap()
}

/// A P-384 key of this process.
fn new_key() -> Arc<SoftwareSigner> {
    Arc::new(SoftwareSigner::generate(KeyKind::P384).unwrap())
}

/// Keys of this process sign at once, so that no runtime is measured.
fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

fn bench(criterion: &mut Criterion) {
    let now = SystemClock.now();
    let random = SystemRandom;
    let root = ready(create_root(SubjectName::parse("CN=Root").unwrap(), new_key(), &random, now)).unwrap();
    let profile = Profile::issuing(SubjectName::parse("CN=ICA").unwrap(), None).unwrap();
    let issuing = ready(create_issuing(&root, &profile, new_key(), &random, now)).unwrap();
    let der = request();
    let fields = LeafFields {
        common_name: "device-1".to_owned(),
        days: 30,
        credential_id: Uuid::from_u128(1),
        crl_url: Some("http://pki.test/crl/a.crl".to_owned()),
        issuer_url: Some("http://pki.test/ca/a.cer".to_owned()),
    };
    criterion.bench_function("verify_request", |bencher| {
        bencher.iter(|| CertificateRequest::from_der(black_box(&der)).unwrap())
    });
    criterion.bench_function("verify_request_and_issue", |bencher| {
        bencher.iter(|| {
            let request = CertificateRequest::from_der(black_box(&der)).unwrap();
            let profile = Profile::leaf(fields.clone()).unwrap();
            let prepared =
                issuing.prepare(&profile, request.public_key_info_der(), Serial::random(&random), now).unwrap();
            ready(prepared.issue()).unwrap()
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
