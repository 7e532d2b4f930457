//! What somebody is told who points a verb at the wrong thing: a folder, a port, a CA, a key.

use crate::program::{Home, Running};
use serde_json::Value;

const DEVICE: [&str; 8] = ["device", "run", "--id-scope", "0ne00000000", "--key", "AAAA", "--registration-id", "pump"];

fn server_file(home: &Home) -> Value {
    let text = std::fs::read(home.data().join("server.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[test]
fn a_server_that_is_there_is_not_asked_for() {
    let (home, other) = (Home::new(), Home::new());
    let (server, stranger) = (Running::serve(&home), Running::serve(&other));
    let (ours, theirs) = (server_file(&home), server_file(&other));
    let foreign = other.data().join("ca.pem").to_string_lossy().into_owned();
    let device = |more: &[&str]| home.run(&[&DEVICE[..], more].concat()).stderr;

    let untrusted = device(&["--ca", &foreign]);
    assert!(untrusted.contains(&format!("not from the CA in {foreign}")) && untrusted.contains("--ca"), "{untrusted}");
    let misnamed = device(&["--host", "dps.example"]);
    assert!(misnamed.contains("no certificate for dps.example") && misnamed.contains("is for"), "{misnamed}");
    let https = device(&["--server", &format!("127.0.0.1:{}", ours["httpsPort"])]);
    let named = format!("server.json of the data folder names {}", ours["mqttPort"]);
    assert!(https.contains("not MQTT") && https.contains(&named), "{https}");
    for told in [&untrusted, &misnamed, &https] {
        assert!(!told.contains("Is the server running?"), "{told}");
    }

    // The ports of another installation, as after a restart on others.
    let mut moved = ours.clone();
    for name in ["httpsPort", "mqttPort", "urls"] {
        moved[name] = theirs[name].clone();
    }
    std::fs::write(home.data().join("server.json"), moved.to_string()).unwrap();
    for verb in [&["events", "hub"][..], &["audit", "export"]] {
        let told = home.run(verb).stderr;
        assert!(told.contains("no certificate from the CA in") && !told.contains("running?"), "{verb:?}: {told}");
    }
    assert!(server.terminate() && stranger.terminate());
    let gone = home.run(&["audit", "export"]).stderr;
    assert!(gone.contains("Cannot reach") && gone.contains("Is the server running?"), "{gone}");
}

#[test]
fn a_folder_that_cannot_be_looked_into_is_not_called_empty() {
    let home = Home::new();
    // A file where the folder is said to be: what nobody may look into cannot be made by a test that root runs.
    std::fs::write(home.data(), b"").unwrap();
    let verbs = [
        &["events", "hub"][..],
        &["backup", "--out", "x", "--recipient", "age1"],
        &["owner", "reset"],
        &["doctor"],
        &DEVICE,
    ];
    for verb in verbs {
        let ran = home.run(verb);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!ran.success && told.contains("Cannot read "), "{verb:?}: {told}");
        assert!(!told.contains("no server has run") && !told.contains("holds no installation"), "{verb:?}: {told}");
    }
    std::fs::remove_file(home.data()).unwrap();
    let device = home.run(&DEVICE).stderr;
    assert!(device.contains("no server has run") && device.contains("--server ADDRESS:PORT"), "{device}");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.stdout.contains("'ferrohub serve' makes it"), "{}", doctor.stdout);
    for told in [device, doctor.stdout] {
        assert!(!told.contains("az login"), "{told}");
    }
}

#[test]
fn a_backup_that_is_not_there_is_told_before_its_key() {
    let home = Home::new();
    let missing = home.run(&["restore", "none.backup"]).stderr;
    assert!(missing.contains("Cannot read none.backup") && !missing.contains("--identity"), "{missing}");
    let nothing = home.run(&["backup", "--out", "x.backup"]).stderr;
    assert!(nothing.contains("holds no installation"), "{nothing}");
}
