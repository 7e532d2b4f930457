//! Files that something changed while the server was stopped: it says what is damaged, and serves none of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of a test function")]

use crate::program::{Home, Running};
use std::path::{Path, PathBuf};

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

fn segments(home: &Home) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.data().join("log")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "log")).collect()
}

/// What `serve` and `doctor` say of the folder.
fn refusals(home: &Home) -> (String, String) {
    let serve = home.run(&Home::serve_arguments());
    assert!(!serve.success, "{}", serve.stdout);
    let doctor = home.run(&["doctor"]);
    assert!(!doctor.success);
    (serve.stderr, doctor.stdout)
}

#[test]
fn damage_is_named_by_serve_and_by_doctor() {
    let home = Home::new();
    home.quickstart();
    let doctor = home.run(&["doctor"]);
    for whole in ["store.db is whole", "log is whole"] {
        assert!(doctor.stdout.contains(whole), "{}", doctor.stdout);
    }
    let server = Running::serve(&home);
    assert!(home.run(&["doctor"]).stdout.contains("in use and not checked"));
    assert!(server.terminate());

    // The only segment of the log, and the whole folder.
    let segment = segments(&home).remove(0);
    let kept = std::fs::read(&segment).unwrap();
    std::fs::remove_file(&segment).unwrap();
    let (serve, doctor) = refusals(&home);
    let missing = format!("{} is missing", segment.canonicalize().unwrap_or(segment.clone()).display());
    for text in [&serve, &doctor] {
        assert!(text.contains("00000000000000000000.log is missing"), "{missing}: {text}");
    }
    std::fs::write(&segment, kept).unwrap();
    let (log, aside) = (home.data().join("log"), home.path().join("log"));
    std::fs::rename(&log, &aside).unwrap();
    let (serve, _) = refusals(&home);
    assert!(serve.contains("The event log") && serve.contains("is missing") && serve.contains("backup"), "{serve}");
    std::fs::rename(&aside, &log).unwrap();

    // A record of the log that others follow.
    let whole = std::fs::read(&segment).unwrap();
    flip(&segment, whole.len() / 2);
    let (serve, doctor) = refusals(&home);
    for text in [&serve, &doctor] {
        assert!(text.contains("is damaged at offset"), "{text}");
    }
    std::fs::write(&segment, whole).unwrap();

    // A page of the store that holds the entries of an index or a table: the middle of each page is tried.
    let store = home.data().join("store.db");
    let whole = std::fs::read(&store).unwrap();
    let mut told = 0;
    for page in (1..whole.len() / 4096).step_by(7) {
        let mut damaged = whole.clone();
        damaged[page * 4096..page * 4096 + 2048].fill(0);
        std::fs::write(&store, &damaged).unwrap();
        let doctor = home.run(&["doctor"]);
        told += usize::from(doctor.stdout.contains("BAD   store"));
    }
    assert!(told > 3, "{told} pages");
    std::fs::write(&store, &whole).unwrap();
    assert!(Running::serve(&home).terminate(), "restored, it goes on");
}
