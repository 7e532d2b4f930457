//! Revocation lists that do not fit one row: read whole while they grow and shrink, never half of one and half of another.

use super::between::writes;
use super::certificates::{record, shorten, write};
use super::fixture::{ADR, Plant, World, plant};
use super::workers::work_until;
use crate::provisioning::world::openssl;
use ferrohub_model::certificate_authority::{AuthorityRecord, RevocationList, RevocationListPart};
use ferrohub_model::clock::Clock as _;
use ferrohub_model::limits::{REVOCATION_LIST_PART_BYTES, REVOCATION_LIST_PARTS as MOST, UNIT_ROWS};
use ferrohub_model::uid::uid_key;
use ferrohub_service::certificate;
use ferrohub_service::certificate::AuthorityState;
use ferrohub_service::platform::Change;
use ferrohub_service::platform::Platform;
use ferrohub_service::tables::{
    AUTHORITIES, META, REVOCATION_GENERATIONS, REVOCATION_LIST_PARTS, REVOCATION_LISTS, REVOCATIONS,
};
use ferrohub_store::{Page, Put};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Entries that fill a row and a little more: 35 bytes each.
const ROW: usize = REVOCATION_LIST_PART_BYTES / 35 + 100;
const DAY: i64 = 86_400;

/// An authority with certificates that are revoked.
struct Lists {
    world: World,
    plant: Plant,
    authority: Arc<AuthorityRecord>,
    folder: tempfile::TempDir,
}

impl Lists {
    async fn new() -> Self {
        let world = World::new().await;
        let plant = plant(&world).await;
        let rows = world.platform().store.scan(&AUTHORITIES, "", Page::first(10)).await.unwrap();
        let records = rows.iter().map(|row| row.parse::<AuthorityRecord>().unwrap());
        let authority = records.into_iter().find(|record| record.is_issuing()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.der"), &authority.certificate_der).unwrap();
        openssl(folder.path(), &["x509", "-inform", "DER", "-in", "ca.der", "-out", "ca.pem"]);
        Self { world, plant, authority, folder }
    }

    /// Writes the entries of `count` certificates that end in so many days, and that there are newer ones than in the list.
    async fn revoke(&self, first: usize, count: usize, days: i64) {
        revoke(self.world.platform(), self.authority.id, first, count, days).await;
    }

    async fn delete_policy(&self) {
        let policy = format!("{}/credentials/default/policies/default", self.plant.namespace);
        let delete = self.world.send(&self.world.owner, "DELETE", &policy, ADR, None);
        assert_eq!(Box::pin(self.world.while_time_passes(delete)).await.unwrap().status, 204);
    }

    async fn state(&self) -> AuthorityState {
        let row = self.world.platform().store.get(&AUTHORITIES, &self.authority.id.to_string()).await.unwrap();
        row.unwrap().parse::<AuthorityRecord>().unwrap().state
    }

    /// When the list that is kept runs out.
    async fn next_update(&self) -> Timestamp {
        let store = &self.world.platform().store;
        let head = store.get(&REVOCATION_LISTS, &self.authority.id.to_string()).await.unwrap().unwrap();
        head.parse::<RevocationList>().unwrap().next_update
    }

    /// What openssl says of the list that the next process serves: how many entries, and its number.
    async fn read(&self) -> (usize, u64) {
        let der = certificate::crl(self.world.platform(), self.authority.id).await.unwrap();
        self.judge(&der)
    }

    fn judge(&self, der: &[u8]) -> (usize, u64) {
        let folder = self.folder.path();
        std::fs::write(folder.join("list.crl"), der).unwrap();
        let shown =
            openssl(folder, &["crl", "-inform", "DER", "-in", "list.crl", "-CAfile", "ca.pem", "-text", "-noout"]);
        let text = String::from_utf8(shown).unwrap();
        let number = text.lines().skip_while(|line| !line.contains("X509v3 CRL Number")).nth(1).unwrap().trim();
        let number = number.trim_start_matches("0x");
        let number = number.parse().or_else(|_| u64::from_str_radix(number, 16)).unwrap();
        (text.matches("Serial Number:").count(), number)
    }

    /// Rows of the list: what its head says, and how many parts there are.
    async fn rows(&self) -> (usize, usize) {
        let store = &self.world.platform().store;
        let head = store.get(&REVOCATION_LISTS, &self.authority.id.to_string()).await.unwrap().unwrap();
        let head = head.parse::<RevocationList>().unwrap();
        assert_eq!(head.der.is_empty(), head.parts > 0, "the text is in one place");
        let prefix = format!("{}/", self.authority.id);
        let rows = store.scan(&REVOCATION_LIST_PARTS, &prefix, Page::first(MOST)).await.unwrap();
        for row in &rows {
            assert_eq!(
                row.parse::<RevocationListPart>().unwrap().number,
                head.number,
                "no part of an older list stays"
            );
        }
        (usize::from(head.parts), rows.len())
    }
}

async fn revoke(platform: &Platform, authority: Uuid, first: usize, count: usize, days: i64) {
    let now = platform.now().as_second();
    let numbers: Vec<usize> = (first..first + count).collect();
    for numbers in numbers.chunks(UNIT_ROWS - 1) {
        let mut change = Change::new();
        for number in numbers {
            let key = format!("{}/4{number:031x}", uid_key(authority));
            let entry = json!({"at": now, "until": now + days * DAY});
            change.unit.put(Put::new(&REVOCATIONS, key, Vec::new(), &entry).unwrap());
        }
        let key = authority.to_string();
        change.unit.put(Put::new(&REVOCATION_GENERATIONS, key, Vec::new(), &json!({})).unwrap());
        platform.commit(change).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_several_rows_grows_and_shrinks_and_is_whole_each_time() {
    let lists = Lists::new().await;
    lists.revoke(0, 10, 90).await;
    let (entries, first) = lists.read().await;
    assert_eq!((entries, lists.rows().await), (10, (0, 0)));
    lists.revoke(10, ROW, 30).await;
    let (entries, second) = lists.read().await;
    assert_eq!((entries, lists.rows().await), (ROW + 10, (2, 2)));
    assert!(second > first, "numbers grow though no time passed");
    assert_eq!(lists.read().await, (ROW + 10, second), "it is the same list until something changes");
    lists.revoke(ROW + 10, ROW, 60).await;
    let (entries, third) = lists.read().await;
    assert_eq!((entries, lists.rows().await), (2 * ROW + 10, (3, 3)));
    assert!(third > second);
    // Those whose certificates have ended go from the list, and the rows that it does not need any more with them.
    lists.world.clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!((lists.read().await.0, lists.rows().await), (ROW + 10, (2, 2)));
    lists.world.clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!((lists.read().await.0, lists.rows().await), (10, (0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_while_a_list_is_replaced_gets_one_or_the_other() {
    let lists = Lists::new().await;
    lists.revoke(0, ROW, 90).await;
    lists.read().await;
    // Each process reads again and again; each reader may be the one that signs the next list.
    let mut readers = Vec::new();
    for platform in lists.world.platforms().iter().chain(lists.world.platforms()) {
        let (platform, id) = (Arc::clone(platform), lists.authority.id);
        readers.push(tokio::spawn(async move {
            let mut read = Vec::new();
            for _ in 0..6 {
                read.push(certificate::crl(&platform, id).await.unwrap());
            }
            read
        }));
    }
    for turn in 0..5 {
        lists.revoke(ROW + turn, 1, 90).await;
    }
    let mut seen = Vec::new();
    let read = lists.world.while_time_passes(futures_util::future::join_all(readers)).await;
    for der in read.into_iter().flat_map(Result::unwrap) {
        if !seen.contains(&der) {
            seen.push(der);
        }
    }
    // Each is signed as a whole, so one made of two would be refused.
    let mut judged: Vec<(u64, usize)> =
        seen.iter().map(|der| lists.judge(der)).map(|(n, number)| (number, n)).collect();
    judged.sort_unstable();
    assert!(judged.iter().all(|(_, entries)| (ROW..=ROW + 5).contains(entries)), "{judged:?}");
    assert!(
        judged.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
        "a number is one list's, and none goes back: {judged:?}"
    );
    assert_eq!((lists.read().await.0, lists.rows().await), (ROW + 5, (2, 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_from_a_clock_that_stood_ahead_is_signed_anew_and_nothing_went_from_it() {
    let lists = Lists::new().await;
    let clock = &lists.world.clock;
    let settled = async || lists.world.platform().store.get(&META, "settled-time").await.unwrap().is_some();
    work_until(&lists.world, "the settled time", Duration::from_millis(10), settled).await;
    lists.revoke(0, 2, 30).await;
    let right = clock.now();
    let after = |days: i64| right + SignedDuration::from_hours(24 * days);
    clock.set_wall(after(60));
    lists.revoke(2, 1, 30).await;
    let (entries, ahead) = lists.read().await;
    assert_eq!(entries, 3, "what has not ended by time that was lived through stays");
    // Under the right clock it would not be valid yet, and no other would be made for two months.
    clock.set_wall(right);
    let (entries, again) = lists.read().await;
    assert!(entries == 3 && again > ahead, "{again}");
    assert_eq!(lists.next_update().await, after(7));
    assert_eq!(lists.read().await, (3, again), "that one is good");
    // Nobody has to ask for it.
    clock.set_wall(after(60));
    lists.revoke(3, 1, 30).await;
    lists.read().await;
    clock.set_wall(right);
    assert_eq!(certificate::refresh_lists(lists.world.platform()).await.unwrap(), 1);
    assert_eq!(lists.next_update().await, after(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_begins_in_the_future_is_signed_anew_though_its_authority_ends_with_it() {
    let lists = Lists::new().await;
    let clock = &lists.world.clock;
    shorten(&lists.world, &lists.authority, 5).await;
    let right = clock.now();
    clock.set_wall(right + SignedDuration::from_hours(48));
    let (_, ahead) = lists.read().await;
    clock.set_wall(right);
    let (_, again) = lists.read().await;
    assert!(again > ahead, "a list that is not valid yet was served");
    assert_eq!(lists.read().await.1, again);
    // Clocks of two processes differ a little.
    clock.set_wall(right - SignedDuration::from_secs(30));
    assert_eq!(lists.read().await.1, again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_while_an_authority_ends_is_on_its_last_list() {
    let lists = Lists::new().await;
    lists.revoke(0, 3, 90).await;
    let (_, first) = lists.read().await;
    let (platform, id) = (Arc::clone(lists.world.platform()), lists.authority.id);
    let ends = writes(&AUTHORITIES, &id.to_string());
    // One more is revoked, and signed, by somebody who knows nothing of the end.
    let meanwhile = async move {
        revoke(&platform, id, 3, 1, 90).await;
        certificate::crl(&platform, id).await.unwrap();
    };
    lists.world.store.meanwhile(ends, meanwhile);
    lists.delete_policy().await;
    assert!(lists.world.store.happened());
    assert_eq!(lists.state().await, AuthorityState::Retired);
    let (entries, last) = lists.read().await;
    assert_eq!(entries, 4);
    assert!(last > first + 1, "each list has a number of its own: {first}, {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_whose_policy_was_deleted_signs_lists_until_its_last_certificate_has_ended() {
    let lists = Lists::new().await;
    let living = [
        record(&lists.world, &lists.authority, Uuid::from_u128(7), "d7", 3),
        record(&lists.world, &lists.authority, Uuid::from_u128(8), "d8", 2),
    ];
    write(&lists.world, &living).await;
    lists.delete_policy().await;
    assert_eq!(lists.state().await, AuthorityState::Superseded);
    assert_eq!(lists.read().await.0, 0);
    // No hub that does not have it gets it any more.
    let synchronize = format!("{}/credentials/default/synchronize", lists.plant.namespace);
    lists.world.send(&lists.world.owner, "POST", &synchronize, ADR, None).await.unwrap();
    let entries = lists.world.get(&format!("{}/certificates", lists.plant.hub), super::fixture::HUB).await;
    assert_eq!(entries["value"], json!([]));
    // The subject is free, and the name.
    let policy = format!("{}/credentials/default/policies/default", lists.plant.namespace);
    let subject = json!({"properties": {"certificate": {"certificateAuthorityConfiguration": {"subject": lists.authority.subject}}}});
    lists.world.put(&policy, ADR, subject).await;

    certificate::revoke_credential(
        lists.world.platform(),
        living[0].device,
        living[0].credential_id,
        lists.world.platform().now(),
    )
    .await
    .unwrap();
    assert_eq!(lists.read().await.0, 1, "a device is revoked whose policy is gone");
    let ended = async || lists.state().await == AuthorityState::Retired;
    work_until(&lists.world, "its end", Duration::from_secs(3600), ended).await;
    assert!(lists.world.platform().now() >= living[1].not_after, "as long as one lives");
    lists.read().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_takes_the_authorities_of_its_deleted_policies_along() {
    let lists = Lists::new().await;
    let living = record(&lists.world, &lists.authority, Uuid::from_u128(7), "d7", 30);
    write(&lists.world, std::slice::from_ref(&living)).await;
    lists.revoke(0, 1, 90).await;
    lists.delete_policy().await;
    assert_eq!(lists.state().await, AuthorityState::Superseded);
    for (path, version) in [(&lists.plant.hub, super::fixture::HUB), (&lists.plant.dps, super::fixture::DPS)] {
        lists.world.send(&lists.world.owner, "DELETE", path, version, None).await.unwrap();
    }
    lists.world.send(&lists.world.owner, "DELETE", &lists.plant.namespace, ADR, None).await.unwrap();
    assert_eq!(lists.state().await, AuthorityState::Retired);
    // Long after its data key, the list is there.
    lists.world.clock.advance(Duration::from_secs(60 * 86_400));
    assert_eq!(lists.read().await.0, 1);
}
