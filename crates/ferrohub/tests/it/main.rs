//! The program as people run it: child processes on free ports, over real sockets.

#![expect(clippy::disallowed_methods, reason = "a child process is waited for by the machine's time")]

mod backup;
mod damage;
mod edges;
mod full_disk;
mod kept;
mod misled;
mod program;

use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use program::{Home, Running, hub_name, steps};
use std::os::unix::fs::PermissionsExt;

#[test]
fn quickstart_works_twice_and_its_messages_are_in_the_log() {
    let home = Home::new();
    let first = home.quickstart();
    for step in [
        "resource group",
        "role definition",
        "credential synchronize",
        "chain of three certificates",
        "receives a desired property",
    ] {
        assert!(first.contains(step), "no step '{step}' in\n{first}");
    }
    assert!(first.contains("10 telemetry messages, QoS 1 … all acknowledged"), "{first}");
    assert!(first.contains("interval = 1, version "), "{first}");
    assert!(first.contains("az cloud register -n ferrohub --endpoint-resource-manager https://localhost:"), "{first}");
    let owner = std::fs::metadata(home.data().join("owner.json")).unwrap();
    assert_eq!(owner.permissions().mode() & 0o777, 0o600);

    let second = home.quickstart();
    assert!(second.contains("interval = 2, version "), "{second}");
    for step in [
        "resource group",
        "role definition",
        "user-assigned identity",
        "namespace quickstart-ns",
        "hub qs-hub-",
        "enrollment group",
    ] {
        let line =
            steps(&second).find(|line| line.contains(step)).unwrap_or_else(|| panic!("no step '{step}' in\n{second}"));
        assert!(line.contains("… found, "), "made again: {line}");
    }
    assert_eq!(hub_name(&first), hub_name(&second));

    let server = Running::serve(&home);
    let events = home.run(&["events", &hub_name(&first)]);
    assert!(events.success, "{}", events.stderr);
    let lines: Vec<&str> = events.stdout.lines().collect();
    assert_eq!(lines.len(), 20, "{}", events.stdout);
    for (number, line) in lines.iter().enumerate() {
        assert!(line.contains(&format!("  sequence {number}  ")) && line.contains("  qs-device  "), "{line}");
    }
    assert!(lines[0].contains("level=info") && lines[0].contains(r#""number":1,"#), "{}", lines[0]);
    let rest = home.run(&["events", &hub_name(&first), "--from", "15", "--json"]);
    assert_eq!(rest.stdout.lines().count(), 5, "{}{}", rest.stdout, rest.stderr);
    let unknown = home.run(&["events", "no-such-hub"]);
    assert!(!unknown.success && unknown.stderr.contains("no hub named 'no-such-hub'"), "{}", unknown.stderr);
    devices_by_key_and_by_certificate(&home);
    assert!(server.terminate(), "serve did not end well on SIGTERM");
}

/// `ferrohub device run` against the quickstart's enrollment group, whose key `ferrohub az` shows.
fn devices_by_key_and_by_certificate(home: &Home) {
    assert!(home.run(&["az", "login"]).success);
    let scope = home.az(&["iot", "dps", "list", "--query", "[0].properties.idScope"]);
    let dps = home.az(&["iot", "dps", "list", "--query", "[0].name"]);
    let show = ["iot", "dps", "enrollment-group", "show", "--dps-name", &dps, "-g", "quickstart-rg", "--enrollment-id"];
    let key = ["quickstart-group", "--show-keys", "--query", "attestation.symmetricKey.primaryKey"];
    let key = home.az(&[&show[..], &key].concat());
    let run = ["device", "run", "--id-scope", &scope, "--group-key", &key, "--count", "2", "--registration-id"];
    let by_key = home.run(&[&run[..], &["sas-1"]].concat());
    assert!(by_key.stdout.contains("sas-1: 2 messages acknowledged"), "{}{}", by_key.stdout, by_key.stderr);
    let certified = home.run(&[&run[..], &["crt", "--csr", "--devices", "2"]].concat());
    assert!(certified.stdout.contains("crt-2: 2 messages acknowledged"), "{}{}", certified.stdout, certified.stderr);
    let refused = home.run(&["device", "run", "--id-scope", &scope, "--key", "AAAA", "--registration-id", "no"]);
    assert!(!refused.success && refused.stderr.contains("MQTT return code 5"), "{}", refused.stderr);
    // The line that is advised is one that works.
    let (_, advised) = refused.stderr.trim_end().split_once("later: ferrohub ").unwrap_or_default();
    let words = advised.split('"').collect::<Vec<_>>();
    assert_eq!(words.len(), 3, "{}", refused.stderr);
    let words = [&words[0].split_whitespace().collect::<Vec<_>>()[..], &words[1..2]].concat();
    let why = until(|| Some(home.run(&words)).filter(|export| export.stdout.contains("connectionRefused")));
    assert!(why.success && why.stdout.contains("no"), "{}", why.stdout);
}

/// What `look` finds at last.
fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let begun = SystemClock.monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(SystemClock.monotonic().since(begun) < program::PATIENCE, "it never came");
        SystemClock.block(std::time::Duration::from_millis(200));
    }
}

#[test]
fn a_quickstart_that_cannot_finish_says_why_and_fails() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = home.run(&["quickstart", "--once", "--https-port", "0", "--metrics-port", "0", "--mqtt-port", &port]);
    assert!(!output.success);
    assert!(output.stdout.contains("failed after"), "{}", output.stdout);
    assert!(output.stderr.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{}", output.stderr);
    assert!(output.stderr.contains(&format!("it is process {} (", std::process::id())), "{}", output.stderr);
    assert!(!home.data().exists(), "a first start that could not listen left a data folder");
    let twice = home.run(&["serve", "--https-port", &port, "--mqtt-port", &port]);
    let said = twice.stderr.contains(&format!("--https-port and --mqtt-port are both {port}"));
    assert!(!twice.success && said && !home.data().exists(), "{}", twice.stderr);
    assert!(home.quickstart().contains("Done: "), "a failed start must not spoil the data folder");
}

#[test]
fn a_data_folder_has_one_server() {
    let home = Home::new();
    let server = Running::serve(&home);
    let second = home.run(&Home::serve_arguments());
    assert!(!second.success);
    let holder = format!("is in use by process {}", server.pid());
    assert!(second.stderr.contains(&holder), "no '{holder}' in {}", second.stderr);
    let doctor = home.run(&["doctor"]);
    assert!(doctor.success, "{}{}", doctor.stdout, doctor.stderr);
    assert!(doctor.stdout.contains("ok    HTTPS answers at 127.0.0.1:"), "{}", doctor.stdout);
    assert!(!doctor.stdout.contains("cannot listen"), "its own ports are not taken: {}", doctor.stdout);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let doctor = home.run(&["doctor", "--mqtt-port", &port]);
    assert!(!doctor.success && doctor.stdout.contains("BAD   MQTT (--mqtt-port): cannot listen"), "{}", doctor.stdout);
    assert!(server.terminate(), "serve did not end well on SIGTERM");
    // That it was stopped is no fault; a port that is asked for and taken is one.
    let doctor = home.run(&["doctor"]);
    assert!(doctor.success && doctor.stdout.contains("hint  no server runs on the data folder"), "{}", doctor.stdout);
    let doctor = home.run(&["doctor", "--https-port", &port]);
    let bad = format!("BAD   HTTPS (--https-port): cannot listen on 127.0.0.1:{port}");
    assert!(!doctor.success && doctor.stdout.contains(&bad), "{}", doctor.stdout);
    drop(taken);
    let doctor = home.run(&["doctor", "--https-port", &port, "--mqtt-port", "0", "--metrics-port", "0"]);
    let free = format!("ok    ports for the next start are free: {port}");
    assert!(doctor.success && doctor.stdout.contains(&free), "{}", doctor.stdout);
}

#[test]
fn configuration_is_strict() {
    let home = Home::new();
    let file = home.path().join("ferrohub.toml");
    std::fs::write(&file, "htps_port = 8443\n").unwrap();
    let refused = home.run(&["serve", "--config", file.to_str().unwrap()]);
    assert!(!refused.success);
    assert!(
        refused.stderr.contains("unknown field `htps_port`") && refused.stderr.contains("ferrohub.toml"),
        "{}",
        refused.stderr
    );
    assert!(!home.data().exists(), "a refused configuration left a data folder");
}

#[test]
fn verbs_are_those_that_are_built() {
    let home = Home::new();
    assert!(home.run(&["version"]).stdout.starts_with("ferrohub "));
    for verb in ["bench", "reset"] {
        let refused = home.run(&[verb]);
        assert!(!refused.success && refused.stderr.contains("unrecognized subcommand"), "{verb}: {}", refused.stderr);
    }
    let help = home.run(&["az", "--help"]);
    assert!(help.success && !help.stdout.contains("Usage: ferrohub"), "{}{}", help.stdout, help.stderr);
    assert!(help.stdout.contains("iot"), "{}", help.stdout);
}
