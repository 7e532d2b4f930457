//! A revocation list of 100,000 entries: put together, encoded, signed. Asked for: under one second, reading included.

#![expect(clippy::unwrap_used, reason = "a benchmark stops on the first fault")]

use criterion::{Criterion, criterion_group, criterion_main};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_pki::algorithm::KeyKind;
use ferrohub_pki::authority::create_root;
use ferrohub_pki::crl::{RevocationReason, RevokedEntry, build_crl};
use ferrohub_pki::issue::Serial;
use ferrohub_pki::name::SubjectName;
use ferrohub_pki::random::SystemRandom;
use ferrohub_pki::signer::SoftwareSigner;
use futures_util::FutureExt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const ENTRIES: usize = 100_000;

fn bench(criterion: &mut Criterion) {
    let now = SystemClock.now();
    let later = now.checked_add(Duration::from_secs(86_400)).unwrap();
    let key = Arc::new(SoftwareSigner::generate(KeyKind::P384).unwrap());
    let subject = SubjectName::parse("CN=Root").unwrap();
    let root = create_root(subject, key, &SystemRandom, now).now_or_never().unwrap().unwrap();
    let entries: Vec<RevokedEntry> = (0..ENTRIES)
        .map(|_| RevokedEntry {
            serial_hex: Serial::random(&SystemRandom).to_hex(),
            revoked_at: now,
            reason: RevocationReason::KeyCompromise,
        })
        .collect();
    criterion.bench_function("crl_of_100_000", |bencher| {
        bencher.iter(|| build_crl(&root, 1, now, later, black_box(&entries)).now_or_never().unwrap().unwrap())
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = bench
}
criterion_main!(benches);
