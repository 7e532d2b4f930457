//! Backup, restore and the master key's rotation, as people run them.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of a test function")]

use crate::program::{Home, Output, Running, hub_name};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PASSPHRASE: &str = "correct horse battery staple";

/// A home with an installation that has a device, a certificate and ten messages; the quickstart's words.
fn installed() -> (Home, String) {
    let home = Home::new();
    let words = home.quickstart();
    (home, words)
}

fn passphrase_file(home: &Home, text: &str) -> PathBuf {
    let path = home.path().join("passphrase");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    path
}

fn backup(home: &Home, name: &str) -> (PathBuf, Output) {
    let (out, passphrase) = (home.path().join(name), passphrase_file(home, PASSPHRASE));
    let output = home.run(&["backup", "--out", text(&out), "--passphrase-file", text(&passphrase)]);
    (out, output)
}

/// Restores into the folder `name` of the home.
fn restore(home: &Home, backup: &Path, name: &str) -> (PathBuf, Output) {
    let (folder, passphrase) = (home.path().join(name), passphrase_file(home, PASSPHRASE));
    let words = ["restore", text(backup), "--data-dir", text(&folder), "--passphrase-file", text(&passphrase)];
    (folder.clone(), home.run(&words))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn good(output: &Output) -> &str {
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    &output.stdout
}

fn events(home: &Home, hub: &str) -> String {
    good(&home.run(&["events", hub, "--json"])).to_owned()
}

/// Names and contents of a folder, without the file that says who used it last.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false if path.ends_with("lock") => {}
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn a_running_server_is_backed_up_and_restored_with_everything() {
    let (home, words) = installed();
    let hub = hub_name(&words);
    let server = Running::serve(&home);
    let messages = events(&home, &hub);
    assert_eq!(messages.lines().count(), 10, "{messages}");
    let (file, saved) = backup(&home, "full.backup");
    assert!(good(&saved).contains("The master key") && saved.stdout.contains("is in it"), "{}", saved.stdout);
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1\n"), "it is a file in the age format");
    assert!(!home.data().join("store.db.copy").exists() && !home.path().join("full.backup.part").exists());
    let again = backup(&home, "full.backup").1;
    assert!(!again.success && again.stderr.contains("is there already"), "{}", again.stderr);
    assert!(server.terminate());

    let (folder, restored) = restore(&home, &file, "second");
    assert!(good(&restored).contains("Restored"), "{}", restored.stdout);
    // The first machine is lost.
    std::fs::rename(home.data(), home.path().join("lost")).unwrap();
    std::fs::rename(&folder, home.data()).unwrap();
    let server = Running::serve(&home);
    assert_eq!(events(&home, &hub), messages, "every message is there, as it was");
    assert!(home.run(&["az", "login"]).success, "the owner's credential works");
    // Its CA signs, its hub takes what it signs: the quickstart finds all it made, and issues another certificate.
    assert!(server.terminate());
    let second = home.quickstart();
    assert_eq!(hub_name(&second), hub);
    assert!(second.lines().any(|line| line.contains("enrollment group") && line.contains("found")), "{second}");
    let doctor = home.run(&["doctor"]).stdout;
    assert!(doctor.contains("store.db is whole") && doctor.contains("log is whole"), "{doctor}");
}

#[test]
fn a_backup_that_is_not_right_leaves_nothing_behind() {
    let (home, _) = installed();
    // A stopped server's folder is backed up as well.
    let (file, saved) = backup(&home, "a.backup");
    good(&saved);
    let whole = std::fs::read(&file).unwrap();
    let refused = |bytes: &[u8], why: &str| {
        let (damaged, folder) = (home.path().join("damaged"), home.path().join("target"));
        std::fs::write(&damaged, bytes).unwrap();
        let (_, output) = restore(&home, &damaged, "target");
        assert!(!output.success && output.stderr.contains(why), "{why}: {}{}", output.stdout, output.stderr);
        assert!(!folder.exists(), "{why}: the folder was left behind");
    };
    refused(&whole[..whole.len() / 2], "cut");
    refused(&whole[..whole.len() - 1], "cut");
    refused(&whole[..100], "damaged");
    for at in [whole.len() / 3, whole.len() - 20] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        refused(&flipped, "damaged");
    }
    refused(b"", "damaged");

    let wrong = passphrase_file(&home, "another passphrase");
    let target = home.path().join("target");
    let words = ["restore", text(&file), "--data-dir", text(&target), "--passphrase-file", text(&wrong)];
    let output = home.run(&words);
    assert!(!output.success && output.stderr.contains("does not open"), "{}", output.stderr);
    assert!(!target.exists());

    // Over another installation, and over anything else.
    let before = contents(&home.data());
    let (_, output) = restore(&home, &file, "data");
    assert!(!output.success && output.stderr.contains("is not empty"), "{}", output.stderr);
    assert_eq!(contents(&home.data()), before);
}

#[test]
fn a_restore_that_was_killed_is_not_served_and_begun_anew() {
    let (home, _) = installed();
    let (file, saved) = backup(&home, "a.backup");
    good(&saved);
    let folder = home.path().join("data2");
    // What a restore leaves that was killed while it put the parts in place: some are there, the store is not.
    std::fs::create_dir_all(folder.join("restoring")).unwrap();
    std::fs::create_dir(folder.join("log")).unwrap();
    std::fs::write(folder.join("master.key"), "half").unwrap();
    std::fs::write(folder.join("restoring/store.db"), "half").unwrap();
    let words = ["serve", "--data-dir", text(&folder), "--https-port", "0", "--mqtt-port", "0", "--metrics-port", "0"];
    let serve = home.run(&words);
    assert!(!serve.success && serve.stderr.contains("was cut off"), "{}", serve.stderr);
    let (_, output) = restore(&home, &file, "data2");
    assert!(good(&output).contains("cleared"), "{}", output.stdout);
    assert!(!folder.join("restoring").exists() && folder.join("store.db").exists());
    let doctor = home.run(&["doctor", "--data-dir", text(&folder)]).stdout;
    assert!(doctor.contains("store.db is whole"), "{doctor}");
}

#[test]
fn keys_instead_of_a_passphrase_and_a_master_key_that_stays_elsewhere() {
    let (home, words) = installed();
    let secret = home.path().join("backup.key");
    let public = good(&home.run(&["backup-key", "--out", text(&secret)])).lines().next().unwrap().to_owned();
    let file = home.path().join("k.backup");
    let saved = home.run(&["backup", "--out", text(&file), "--recipient", &public, "--without-master-key"]);
    assert!(good(&saved).contains("is not in it"), "{}", saved.stdout);
    let target = home.path().join("target");
    let words_of_restore = ["restore", text(&file), "--data-dir", text(&target), "--identity", text(&secret)];
    let refused = home.run(&words_of_restore);
    assert!(!refused.success && refused.stderr.contains("does not contain the master key"), "{}", refused.stderr);
    assert!(!target.exists());
    let another = home.path().join("another.key");
    std::fs::write(&another, format!("{}\n", "17".repeat(32))).unwrap();
    private(&another);
    let refused = home.run_with(&words_of_restore, &[("FERROHUB_MASTER_KEY_FILE", text(&another))]);
    assert!(!refused.success && refused.stderr.contains("needs the master key"), "{}", refused.stderr);
    let kept = home.path().join("kept.key");
    std::fs::copy(home.data().join("master.key"), &kept).unwrap();
    private(&kept);
    good(&home.run_with(&words_of_restore, &[("FERROHUB_MASTER_KEY_FILE", text(&kept))]));
    assert!(!target.join("master.key").exists());

    // The restored installation with its key where it was, and then with a new one.
    std::fs::rename(home.data(), home.path().join("lost")).unwrap();
    std::fs::rename(&target, home.data()).unwrap();
    let rotated = home.run_with(&["master-key", "rotate"], &[("FERROHUB_MASTER_KEY_FILE", text(&kept))]);
    assert!(good(&rotated).contains("wrapped anew"), "{}", rotated.stdout);
    let former: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(former.iter().any(|name| name.to_string_lossy().starts_with("kept.key.")), "{former:?}");
    std::fs::rename(&kept, home.data().join("master.key")).unwrap();
    assert_eq!(hub_name(&home.quickstart()), hub_name(&words));
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn the_master_key_is_exchanged_and_a_cut_off_exchange_finishes_itself() {
    let (home, words) = installed();
    let key = home.data().join("master.key");
    let old = std::fs::read(&key).unwrap();
    let server = Running::serve(&home);
    let refused = home.run(&["master-key", "rotate"]);
    assert!(!refused.success && refused.stderr.contains("in use"), "{}", refused.stderr);
    assert!(server.terminate());
    let (file, saved) = backup(&home, "before.backup");
    good(&saved);
    let rotated = home.run(&["master-key", "rotate"]);
    good(&rotated);
    let new = std::fs::read(&key).unwrap();
    assert_ne!(old, new);
    // Killed between the store and the file: the old key under its name, the new one beside it.
    std::fs::rename(&key, home.data().join("master.key.next")).unwrap();
    std::fs::write(&key, &old).unwrap();
    private(&key);
    good(&backup(&home, "between.backup").1);
    let server = Running::serve(&home);
    assert!(server.terminate());
    assert_eq!((std::fs::read(&key).unwrap(), home.data().join("master.key.next").exists()), (new.clone(), false));
    assert_eq!(hub_name(&home.quickstart()), hub_name(&words), "it works under the new key");
    // The old key opens nothing any more.
    std::fs::write(&key, &old).unwrap();
    let refused = home.run(&Home::serve_arguments());
    assert!(!refused.success && refused.stderr.contains("not the one"), "{}", refused.stderr);
    let refused = backup(&home, "wrong.backup").1;
    assert!(!refused.success && refused.stderr.contains("is not the master key"), "{}", refused.stderr);
    // And the old backup has the key that it needs.
    good(&restore(&home, &file, "earlier").1);
    assert_eq!(std::fs::read(home.path().join("earlier/master.key")).unwrap(), old);
}
