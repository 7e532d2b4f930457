//! What happens when something around the program gives way: files, the reader of its output, the server.

use crate::program::{Home, PATIENCE, Running, hub_name, terminate};
use ferrohub_clock::SystemClock;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn idle_strangers_leave_files_to_store_and_log() {
    let home = Home::new();
    let server = Running::serve_with_files(&home, 160);
    let text = std::fs::read_to_string(home.data().join("server.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ports =
        ["httpsPort", "mqttPort", "metricsPort"].map(|name| u16::try_from(file[name].as_u64().unwrap()).unwrap());
    let open = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = open();
    let strangers: Vec<TcpStream> = ports
        .iter()
        .flat_map(|port| std::iter::repeat_n(*port, 100))
        .map(|port| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    SystemClock.block(Duration::from_secs(1));
    // Half of so low a limit is kept back.
    let held = open();
    assert!(held > before + 60 && held <= before + 80, "{before} files, then {held}");
    drop(strangers);
    let login = home.run(&["az", "login"]);
    assert!(login.success, "{}", login.stderr);
    assert!(server.terminate(), "serve did not end well on SIGTERM");
}

#[test]
fn a_limit_that_carries_no_server_is_refused_with_the_remedy() {
    let home = Home::new();
    let script = format!("ulimit -n 60; exec \"{}\" serve", env!("CARGO_BIN_EXE_ferrohub"));
    let output = std::process::Command::new("/bin/sh").args(["-c", &script]).env("HOME", home.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && errors.contains("may open 60 files") && errors.contains("ulimit -n"),
        "{errors}"
    );
}

#[test]
fn output_that_is_lost_is_an_error_and_a_reader_that_left_is_none() {
    let home = Home::new();
    for arguments in [&["version"][..], &["doctor"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let lost = home.command(arguments).stdout(full).output().unwrap();
        let errors = String::from_utf8_lossy(&lost.stderr);
        assert!(
            !lost.status.success() && errors.contains("Cannot write to standard output"),
            "{arguments:?}: {errors}"
        );
    }
    let mut child = home.command(&["version"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let left = child.wait_with_output().unwrap();
    assert!(left.status.success() && left.stderr.is_empty(), "{}", String::from_utf8_lossy(&left.stderr));
}

#[test]
fn following_goes_on_after_a_restart_of_the_server() {
    let home = Home::new();
    let hub = hub_name(&home.quickstart());
    let server = Running::serve(&home);
    let follow =
        home.command(&["events", &hub, "--follow", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut follow = Killed(follow.unwrap());
    let (sender, lines) = mpsc::channel();
    let stdout = follow.0.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let number = |line: String| {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        event["sequenceNumber"].as_u64().unwrap()
    };
    for expected in 0..10 {
        assert_eq!(number(lines.recv_timeout(PATIENCE).unwrap()), expected);
    }
    // Another start takes other ports.
    assert!(server.terminate(), "serve did not end well on SIGTERM");
    home.quickstart();
    let _server = Running::serve(&home);
    for expected in 10..20 {
        assert_eq!(number(lines.recv_timeout(PATIENCE).unwrap()), expected, "printed twice or lost");
    }
    assert!(follow.0.try_wait().unwrap().is_none(), "it ended");
}

#[test]
fn a_folder_whose_lock_file_was_removed_is_still_locked() {
    let home = Home::new();
    let server = Running::serve(&home);
    std::fs::remove_file(home.data().join("lock")).unwrap();
    let second = home.run(&Home::serve_arguments());
    assert!(!second.success && second.stderr.contains("is in use by another process"), "{}", second.stderr);
    assert!(server.terminate(), "serve did not end well on SIGTERM");
    assert!(Running::serve(&home).terminate());
}

#[test]
fn a_folder_that_others_can_write_is_not_used() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    std::fs::set_permissions(home.data(), PermissionsExt::from_mode(0o777)).unwrap();
    let refused = home.run(&Home::serve_arguments());
    assert!(!refused.success && refused.stderr.contains("run 'chmod go-w "), "{}", refused.stderr);
    assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0, "nothing was written");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.stdout.contains("BAD   ") && doctor.stdout.contains("chmod go-w"), "{}", doctor.stdout);
}

#[test]
fn a_signal_is_obeyed_whenever_it_comes() {
    let home = Home::new();
    for milliseconds in [0, 3, 10, 30, 60, 100, 150, 200, 300, 400] {
        let mut command = home.command(&Home::serve_arguments());
        let mut child = Killed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        SystemClock.block(Duration::from_millis(milliseconds));
        let status = terminate(&mut child.0).unwrap_or_else(|| panic!("goes on after {milliseconds} ms"));
        // Before it listens, the signal itself is the end.
        assert!(status.success() || status.signal() == Some(15), "after {milliseconds} ms: {status}");
    }
    for _ in 0..3 {
        assert!(Running::serve(&home).terminate(), "right after 'ready'");
    }
}

#[test]
fn whoever_holds_the_folder_gets_back_in_as_owner() {
    let home = Home::new();
    let missing = home.run(&["owner", "reset"]);
    assert!(!missing.success && missing.stderr.contains("holds no installation"), "{}", missing.stderr);
    assert!(!home.data().exists());
    let server = Running::serve(&home);
    let refused = home.run(&["owner", "reset"]);
    let holder = format!("is in use by process {}", server.pid());
    assert!(!refused.success && refused.stderr.contains(&holder), "{}", refused.stderr);
    assert!(home.run(&["az", "login"]).success);
    assert!(server.terminate());
    let file = home.data().join("owner.json");
    let before = std::fs::read(&file).unwrap();
    let reset = home.run(&["owner", "reset"]);
    assert!(reset.success && reset.stdout.contains("has a new secret"), "{}{}", reset.stdout, reset.stderr);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(std::fs::read(&file).unwrap(), before);
    let server = Running::serve(&home);
    let login = home.run(&["az", "login"]);
    assert!(login.success, "{}", login.stderr);
    assert_eq!(home.az(&["group", "create", "-n", "rg", "-l", "westeurope", "--query", "name"]), "rg");
    std::fs::write(&file, before).unwrap();
    let old = home.run(&["az", "login"]);
    assert!(!old.success && old.stderr.contains("Invalid client secret"), "{}{}", old.stdout, old.stderr);
    assert!(server.terminate());
}
