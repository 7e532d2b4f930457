//! All of pytest in two halves at the same time, since most of it waits for one program at a time. Each is in a network of its own:
//! azure-iot-device has a port built in, on which one server can listen.

use super::{Clients, tests};
use crate::step::{now, say, target};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Runs both halves and shows what each printed once it ends.
///
/// # Errors
/// That one could not be started, or that a test of it failed.
pub(super) fn run(clients: &Clients) -> Result<(), String> {
    say("== foreign clients, in two halves");
    let begun = now();
    let mut running = Vec::new();
    for (index, files) in split(&test_files()?).into_iter().enumerate() {
        let printed = target().join("foreign").join(format!("half-{index}.txt"));
        running.push((start(clients, &files, &printed)?, printed));
    }
    let mut failed = Vec::new();
    for (index, (mut half, printed)) in running.into_iter().enumerate() {
        let status = half.wait().map_err(|error| format!("cannot wait for pytest: {error}"))?;
        say(&String::from_utf8_lossy(&std::fs::read(&printed).unwrap_or_default()));
        say(&format!("== half {index} of the foreign clients: {status}, {} s", begun.elapsed().as_secs()));
        if !status.success() {
            failed.push(format!("half {index}: {status}"));
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("foreign clients, {}", failed.join(", "))),
    }
}

fn start(clients: &Clients, files: &[PathBuf], printed: &Path) -> Result<Child, String> {
    let file = File::create(printed).map_err(|error| format!("cannot write {}: {error}", printed.display()))?;
    let both = file.try_clone().map_err(|error| format!("cannot write {}: {error}", printed.display()))?;
    let mut command = clients.pytest_apart();
    command.args(files).stdout(file).stderr(both);
    command.spawn().map_err(|error| format!("cannot start pytest: {error}"))
}

/// What takes far longer than its length says, with the seconds that it took on a machine of 2026-11.
const SLOW: [(&str, u64); 8] = [
    ("test_az.py", 125),
    ("test_crash.py", 95),
    ("test_properties.py", 70),
    ("test_succession.py", 55),
    ("test_renewal_mqtt.py", 55),
    ("test_people_az.py", 50),
    ("test_az_resource.py", 40),
    ("test_revocation.py", 25),
];
/// Bytes of a file that take about a second, where nothing else is known.
const BYTES_OF_A_SECOND: u64 = 800;

/// The files that pytest finds by itself, with the seconds that each takes about, the longest first.
fn test_files() -> Result<Vec<(u64, PathBuf)>, String> {
    let unreadable = |error| format!("cannot list {}: {error}", tests().display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(tests()).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = PathBuf::from(entry.file_name());
        let is_test = name.to_str().is_some_and(|name| name.starts_with("test_") && name.ends_with(".py"));
        if is_test {
            let length = entry.metadata().map_err(unreadable)?.len();
            let slow = SLOW.iter().find(|(slow, _)| name.as_os_str() == *slow);
            found.push((slow.map_or(length / BYTES_OF_A_SECOND, |(_, seconds)| *seconds), name));
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Two halves that take about as long.
fn split(files: &[(u64, PathBuf)]) -> [Vec<PathBuf>; 2] {
    let (mut halves, mut seconds) = ([Vec::new(), Vec::new()], [0, 0]);
    for (takes, file) in files {
        let lighter = usize::from(seconds[1] < seconds[0]);
        seconds[lighter] += takes;
        halves[lighter].push(file.clone());
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_one_half_and_the_halves_are_alike() {
        let files: Vec<_> =
            [9, 8, 5, 4, 4, 1].into_iter().map(|size| (size, PathBuf::from(format!("{size}")))).collect();
        let [one, other] = split(&files);
        assert_eq!(
            (one.len() + other.len(), one, other),
            (6, ["9", "4", "4"].map(PathBuf::from).into(), ["8", "5", "1"].map(PathBuf::from).into())
        );
    }
}
