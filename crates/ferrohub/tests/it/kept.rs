//! Data folders that earlier programs made: the program of today starts on a copy of each and serves what is in it.
//!
//! `tests/fixtures/data-N` is a whole folder as a `quickstart` left it, made by the first program that kept one of stored format
//! N and never made anew; `data-N.json` is what that program answered about it. After the format was raised,
//! `FERROHUB_MAKE_FIXTURE=1 cargo test -p ferrohub --test it kept` adds what is missing (CONTRIBUTING.md).
//!
//! The folders of `crates/service/tests/fixtures` are store and log without the files beside them: their master key is that of
//! the service's tests, and the program makes what else is missing.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of a test function")]

use crate::program::{Home, Running};
use serde_json::{Map, Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const MAKE: &str = "FERROHUB_MAKE_FIXTURE";
/// Where SQLite keeps the stored format in a file's header.
const FORMAT_AT: std::ops::Range<usize> = 60..64;
/// Files that say who uses a folder now.
const PASSING: [&str; 2] = ["lock", "server.json"];
/// The master key of the service's tests, hex.
const KEY_OF_TESTS: [u8; 32] = [42; 32];

/// What is asked of a quickstart's folder: a command of `az`, and the members of its answer that never change. `{hub}` and
/// `{dps}` stand for their names.
const OF_QUICKSTART: &[(&str, &str)] = &[
    ("group show -n quickstart-rg", "location"),
    ("role definition list --custom-role-only true", "[].roleName"),
    ("iot adr ns show -n quickstart-ns -g quickstart-rg", "[properties.uuid, location, systemData.createdAt]"),
    ("iot adr ns policy show --ns quickstart-ns -g quickstart-rg -n default", "[name, systemData.createdAt]"),
    (
        "iot adr ns certificate list --ns quickstart-ns -g quickstart-rg",
        "[].[properties.serialNumber, properties.deviceId, properties.validityNotAfter]",
    ),
    (
        "iot adr ns device show --ns quickstart-ns -g quickstart-rg -n qs-device",
        "[properties.uuid, properties.enabled]",
    ),
    ("iot hub show -n {hub}", "[properties.hostName, properties.deviceRegistry.namespaceResourceId]"),
    ("iot hub device-identity show -n {hub} -d qs-device", "[deviceId, generationId, authentication.type]"),
    ("iot hub device-twin show -n {hub} -d qs-device", "properties.desired.interval"),
    ("iot dps show -n {dps}", "[properties.idScope, properties.iotHubs[].name]"),
    // Sealed under the master key.
    (
        "iot dps enrollment-group show --dps-name {dps} -g quickstart-rg --enrollment-id quickstart-group --show-keys",
        "attestation.symmetricKey.primaryKey",
    ),
];

/// The same of the small plant of the service's tests.
const OF_TESTS: &[(&str, &str)] = &[
    ("iot adr ns show -n plant -g rg", "[name, location]"),
    ("iot adr ns policy show --ns plant -g rg -n default", "name"),
    ("iot adr ns certificate list --ns plant -g rg", "[].properties.deviceId"),
    ("iot adr ns device show --ns plant -g rg -n pump-1", "[name, properties.enabled]"),
    ("iot hub show -n hub1", "properties.hostName"),
    ("iot hub device-identity show -n hub1 -d pump-1", "[deviceId, authentication.type]"),
    ("iot hub device-twin show -n hub1 -d pump-1", "[tags.line, properties.desired.rate]"),
    ("iot dps show -n dps1", "properties.iotHubs[].name"),
    (
        "iot dps enrollment-group show --dps-name dps1 -g rg --enrollment-id g1 --show-keys",
        "length(attestation.symmetricKey.primaryKey)",
    ),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Copies a folder, with the rights that a data folder has.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !PASSING.iter().any(|name| entry.file_name() == *name) {
            std::fs::copy(entry.path(), &target).unwrap();
            std::fs::set_permissions(target, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// The stored format of a folder whose server has stopped.
fn format_of(folder: &Path) -> u32 {
    let bytes = std::fs::read(folder.join("store.db")).unwrap();
    u32::from_be_bytes(bytes[FORMAT_AT].try_into().unwrap())
}

/// What the program answers about its folder. Not its messages: those are past their day (the service's tests read them).
fn answers(home: &Home, questions: &[(&str, &str)]) -> Value {
    assert!(home.run(&["az", "login"]).success, "the owner's credential does not work");
    let (hub, dps) = (home.az(&["iot", "hub", "list", "--query", "[0].name"]), "[0].name");
    let dps = home.az(&["iot", "dps", "list", "--query", dps]);
    let mut all = Map::new();
    for (line, members) in questions {
        let line = line.replace("{hub}", &hub).replace("{dps}", &dps);
        let words: Vec<&str> = line.split(' ').chain(["--query", members, "-o", "json"]).collect();
        let output = home.run(&[&["az"], &words[..]].concat());
        assert!(output.success, "{line}: {}", output.stderr);
        all.insert(line, serde_json::from_str(&output.stdout).unwrap());
    }
    Value::Object(all)
}

/// Whether nothing in the folder of a stopped server is damaged.
fn whole(home: &Home) -> bool {
    let doctor = home.run(&["doctor"]).stdout;
    doctor.contains("store.db is whole") && doctor.contains("log is whole")
}

/// Makes the folder of this program's format.
fn make(format: u32) {
    let home = Home::new();
    home.quickstart();
    let server = Running::serve(&home);
    let said = answers(&home, OF_QUICKSTART);
    assert!(server.terminate());
    copy(&home.data(), &fixtures().join(format!("data-{format}")));
    let text = serde_json::to_string_pretty(&said).unwrap();
    std::fs::write(fixtures().join(format!("data-{format}.json")), text + "\n").unwrap();
}

#[test]
fn a_whole_folder_of_every_format_is_served_as_it_was_left() {
    let new = Home::new();
    assert!(Running::serve(&new).terminate());
    let present = format_of(&new.data());
    let kept = fixtures().join(format!("data-{present}"));
    if !kept.exists() {
        assert!(std::env::var_os(MAKE).is_some(), "the present format {present} has no folder: set {MAKE}");
        make(present);
    }
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let home = Home::new();
        copy(&folder, &home.data());
        let said = std::fs::read_to_string(folder.with_extension("json")).unwrap();
        let server = Running::serve(&home);
        assert_eq!(
            answers(&home, OF_QUICKSTART),
            serde_json::from_str::<Value>(&said).unwrap(),
            "{}",
            folder.display()
        );
        assert!(server.terminate(), "serve did not end well on {}", folder.display());
        assert!(whole(&home), "{}", folder.display());
        assert_eq!(format_of(&home.data()), present, "it is of the present format now");
    }
}

#[test]
fn a_store_and_a_log_of_every_format_are_served_with_their_master_key() {
    for format in [2, 3] {
        let home = Home::new();
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../service/tests/fixtures/data-{format}"));
        copy(&kept, &home.data());
        let lost = home.run(&Home::serve_arguments());
        assert!(!lost.success && lost.stderr.contains("master"), "without its key: {}", lost.stderr);
        let key: String = KEY_OF_TESTS.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(home.data().join("master.key"), key).unwrap();
        std::fs::set_permissions(home.data().join("master.key"), Permissions::from_mode(0o600)).unwrap();
        let server = Running::serve(&home);
        let said = answers(&home, OF_TESTS);
        let said: Vec<&Value> = OF_TESTS.iter().map(|(line, _)| &said[*line]).collect();
        let expected = json!([
            ["plant", "eastus"],
            "default",
            ["pump-1"],
            ["pump-1", true],
            "hub1.azure-devices.localhost",
            ["pump-1", "certificateAuthority"],
            [7, 5],
            ["hub1.azure-devices.localhost"],
            88
        ]);
        assert_eq!(json!(said), expected, "format {format}");
        assert!(server.terminate(), "serve did not end well on format {format}");
        assert!(whole(&home), "format {format}");
    }
}
