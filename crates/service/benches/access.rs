//! What it costs to ask for a right, with 10 assignments and with 10,000: of one principal at 10,000 scopes, of 10,000 principals,
//! and by a group. Asked for: no slower with 10,000.
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::authz::{AccessSnapshot, Assignment, Membership, Plane, builtin};
use std::hint::black_box;

const ACTION: &str = "Microsoft.Devices/IotHubs/read";

fn group(number: usize) -> String {
    format!("/subscriptions/s/resourcegroups/g{number}")
}

fn assignment(principal: String, scope: String) -> Assignment {
    Assignment { scope, principal, role: builtin::READER.into() }
}

fn ask(criterion: &mut Criterion) {
    let mut asked = criterion.benchmark_group("a_right_is_asked_for");
    for count in [10, 10_000] {
        let id = format!("{}/providers/Microsoft.Devices/IotHubs/h", group(count - 1));
        let scope = ResourceId::parse(&id).unwrap();
        let one = (0..count).map(|n| assignment("p".into(), group(n))).collect();
        let many = (0..count).map(|n| assignment(format!("p{n}"), group(n))).collect();
        let by_group = (0..count).map(|n| assignment("g".into(), group(n))).collect();
        let member = vec![Membership { group: "g".into(), member: "p".into() }];
        let last = format!("p{}", count - 1);
        for (name, who, snapshot) in [
            ("of one principal", "p", AccessSnapshot::new(Vec::new(), one, Vec::new())),
            ("of as many principals", last.as_str(), AccessSnapshot::new(Vec::new(), many, Vec::new())),
            ("by a group", "p", AccessSnapshot::new(Vec::new(), by_group, member)),
        ] {
            assert!(snapshot.allows(who, Plane::Control, ACTION, &scope));
            asked.bench_with_input(BenchmarkId::new(name, count), &snapshot, |bencher, snapshot| {
                bencher.iter(|| snapshot.allows(black_box(who), Plane::Control, black_box(ACTION), &scope));
            });
        }
    }
    asked.finish();
}

criterion_group!(benches, ask);
criterion_main!(benches);
