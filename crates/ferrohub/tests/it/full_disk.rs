//! A disk that takes no more, and takes more again. A limit of the process on the size of files stands for it: what is
//! written behind the limit is refused as on a full disk, and the limit is lifted while the server runs.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of a test function")]

use crate::program::{Home, PATIENCE, Running, hub_name};
use ferrohub_client::device::dial::Dial;
use ferrohub_client::device::hub::{HubDevice, Proof};
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

fn limit_files(server: &Running, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// Status and text of `/readyz`.
fn readiness(home: &Home) -> (u16, String) {
    let text = std::fs::read_to_string(home.data().join("server.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let port = u16::try_from(file["metricsPort"].as_u64().unwrap()).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}

/// Connects a device with this key.
async fn connect(home: &Home, host: &str, device: &str, key: &str) -> HubDevice {
    let text = std::fs::read_to_string(home.data().join("server.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let port = u16::try_from(file["mqttPort"].as_u64().unwrap()).unwrap();
    let ca = std::fs::read(home.data().join("ca.pem")).unwrap();
    let dial = Dial::new(([127, 0, 0, 1], port).into(), host, &ca, None, SystemClock::shared()).unwrap();
    HubDevice::connect(&dial, host, device, Proof::Key(key)).await.unwrap()
}

/// Waits until `/readyz` answers with `wanted`; gives its text.
fn until_readiness(home: &Home, wanted: u16) -> String {
    let deadline = SystemClock.monotonic() + PATIENCE;
    loop {
        let (status, text) = readiness(home);
        if status == wanted {
            return text;
        }
        assert!(SystemClock.monotonic() < deadline, "still {status}: {text}");
        SystemClock.block(Duration::from_millis(100));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_on_every_plane_and_reading_goes_on() {
    let home = Home::new();
    let hub = hub_name(&home.quickstart());
    let server = Running::serve_without_size_signal(&home);
    assert!(home.run(&["az", "login"]).success);
    let dps = home.az(&["iot", "dps", "list", "--query", "[0].name"]);
    let scope = home.az(&["iot", "dps", "list", "--query", "[0].properties.idScope"]);
    let show = ["iot", "dps", "enrollment-group", "show", "--dps-name", &dps, "-g", "quickstart-rg", "--enrollment-id"];
    let key = ["quickstart-group", "--show-keys", "--query", "attestation.symmetricKey.primaryKey"];
    let key = home.az(&[&show[..], &key].concat());
    home.az(&["iot", "hub", "device-identity", "create", "-n", &hub, "-d", "sender"]);
    let of_sender = ["iot", "hub", "device-identity", "show", "-n", &hub, "-d", "sender", "--query"];
    let sender_key = home.az(&[&of_sender[..], &["authentication.symmetricKey.primaryKey"]].concat());
    let host = home.az(&["iot", "hub", "show", "-n", &hub, "--query", "properties.hostName"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sender = runtime.block_on(connect(&home, &host, "sender", &sender_key));
    runtime.block_on(sender.send("before", &[])).unwrap();
    assert_eq!(until_readiness(&home, 200), "ready\n");

    limit_files(&server, Some(1));
    let text = until_readiness(&home, 503);
    assert!(text.contains("the store is not ready") && text.contains("disk is full"), "{text}");
    let writes: [&[&str]; 5] = [
        &["ad", "sp", "create-for-rbac", "-n", "late"],
        &["group", "create", "-n", "rg2", "-l", "westeurope"],
        &["iot", "hub", "device-identity", "create", "-n", &hub, "-d", "new"],
        &["iot", "hub", "device-twin", "update", "-n", &hub, "-d", "qs-device", "--tags", "{\"a\":1}"],
        &[
            "iot",
            "dps",
            "enrollment-group",
            "create",
            "--dps-name",
            &dps,
            "-g",
            "quickstart-rg",
            "--enrollment-id",
            "g2",
        ],
    ];
    for arguments in writes {
        let refused = home.run(&[&["az"], arguments].concat());
        assert!(
            !refused.success && refused.stderr.contains("disk is full"),
            "{arguments:?}: {}{}",
            refused.stdout,
            refused.stderr
        );
    }
    // It waits, unacknowledged, for as long as the connection lives.
    let unsent = runtime.block_on(sender.send("held", &[])).unwrap_err();
    assert_eq!(unsent.http_status(), 503, "what is not on the disk is not acknowledged: {unsent}");
    let run = ["device", "run", "--id-scope", &scope, "--group-key", &key, "--registration-id", "late"];
    let waiting = home.command(&run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(home.az(&["group", "list", "--query", "[0].name"]), "quickstart-rg");
    assert_eq!(home.run(&["events", &hub]).stdout.lines().count(), 11);

    SystemClock.block(Duration::from_secs(1));
    limit_files(&server, None);
    // A device that was told to come back does, and is served.
    let device = waiting.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&device.stdout);
    assert!(text.contains("late: 10 messages acknowledged"), "{text}{}", String::from_utf8_lossy(&device.stderr));
    assert_eq!(until_readiness(&home, 200), "ready\n");
    for arguments in writes {
        home.az(arguments);
    }
    let sender = runtime.block_on(connect(&home, &host, "sender", &sender_key));
    runtime.block_on(sender.send("after", &[])).unwrap();
    assert!(server.terminate(), "serve did not end well on SIGTERM");
    let server = Running::serve(&home);
    let events = home.run(&["events", &hub]).stdout;
    assert_eq!(events.lines().count(), 23, "{events}");
    assert_eq!(events.matches("held").count(), 1, "{events}");
    assert!(server.terminate());
}
