//! `cargo xtask portal`: the web page, built from `portal/` into `portal/dist/`, which is committed, so that building the
//! program needs no Node. `dist/SOURCE` is a hash of what it was built from; `cargo xtask check` compares it, and
//! `cargo xtask test`, which has Node, builds again and compares the bytes.

use crate::foreign;
use crate::step::{program, root, run as run_step, say, target};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the page is built from, below `portal/`: files, and folders with everything in them.
const SOURCES: [&str; 7] =
    ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src"];
/// Tests lie beside what they test and are no part of what is built.
const TEST: &str = ".test.ts";
/// What the browser's tests call, with the Debian package that has each: the browser, and what lets it trust a server.
const BROWSER: [(&str, &str); 2] = [("chromium", "chromium"), ("certutil", "libnss3-tools")];
/// The table of the built files that the program includes.
const TABLE: &str = "crates/frontdoor/src/https/portal_files.rs";

/// Builds the page; `--dev` serves it instead, with every change shown at once, before a running server.
///
/// # Errors
/// The step that failed.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => build(),
        [flag] if flag == "--dev" => {
            install()?;
            run_step("vite", npm().args(["run", "dev"]))
        }
        [first, ..] => Err(format!("portal takes --dev or nothing, not '{first}'")),
    }
}

fn build() -> Result<(), String> {
    install()?;
    run_step("types", npm().args(["run", "types"]))?;
    run_step("unit tests of the page", npm().args(["run", "test"]))?;
    run_step("vite build", npm().args(["run", "build"]))?;
    let source = format!("{}\n", source_hash()?);
    write(&dist().join("SOURCE"), &source)?;
    write(&root().join(TABLE), &table(&built()?.into_keys().collect::<Vec<_>>()))
}

/// Whether what is committed was built from what is committed, as far as that can be told without Node.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) fn check() -> Result<(), String> {
    let noted = std::fs::read_to_string(dist().join("SOURCE")).unwrap_or_default();
    if noted.trim() != source_hash()? {
        return Err("portal/dist was built from other sources than those of portal/; run 'cargo xtask portal'".into());
    }
    let names: Vec<String> = built()?.into_keys().collect();
    if std::fs::read_to_string(root().join(TABLE)).ok().as_deref() != Some(table(&names).as_str()) {
        return Err(format!("{TABLE} does not name the files of portal/dist; run 'cargo xtask portal'"));
    }
    say(&format!("== portal: ok, {} files", names.len()));
    Ok(())
}

/// Types, unit tests, and a fresh build that must have the very bytes that are committed.
///
/// # Errors
/// The step that failed, or the file that differs.
pub(crate) fn test() -> Result<(), String> {
    install()?;
    run_step("types of the page", npm().args(["run", "types"]))?;
    run_step("unit tests of the page", npm().args(["run", "test"]))?;
    let fresh = target().join("portal");
    let out = fresh.to_string_lossy().into_owned();
    run_step("vite build", npm().args(["run", "build", "--", "--emptyOutDir", "--outDir", &out]))?;
    let (committed, built) = (built()?, files(&fresh)?);
    let differs = |name: &&String| committed.get(*name) != built.get(*name);
    match committed.keys().chain(built.keys()).find(differs) {
        None => Ok(()),
        Some(name) => Err(format!("portal/dist/{name} is not what a fresh build gives; run 'cargo xtask portal'")),
    }
}

/// The page in a browser, against the program; arguments go to Playwright.
///
/// # Errors
/// What could not be installed or built, or that a test failed.
pub(crate) fn run_in_browser(arguments: &[String]) -> Result<(), String> {
    foreign::install_missing(&BROWSER)?;
    install()?;
    let binary = foreign::server()?;
    let mut command = npm();
    command.args(["run", "e2e", "--"]).args(arguments);
    command.env("FERROHUB_TEST_BINARY", binary);
    command.env("FERROHUB_TEST_OUT", target().join("portal-e2e"));
    run_step("the page in a browser", &mut command)
}

/// The packages that the lock file names; installed where they are missing or the lock has changed.
pub(crate) fn install() -> Result<(), String> {
    let stamp = folder().join("node_modules").join(".locked");
    let wanted = read(&folder().join("package-lock.json"))?;
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run_step("npm ci", npm().args(arguments))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

fn npm() -> Command {
    let mut command = program("npm");
    command.current_dir(folder()).stdin(Stdio::null());
    command
}

/// The folder of the page.
pub(crate) fn folder() -> PathBuf {
    root().join("portal")
}

fn dist() -> PathBuf {
    folder().join("dist")
}

/// The built files by name, without the note of what they were built from.
fn built() -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut all = files(&dist())?;
    all.remove("SOURCE");
    Ok(all)
}

/// A hash over names and bytes of the sources.
fn source_hash() -> Result<String, String> {
    let mut all = BTreeMap::new();
    for name in SOURCES {
        let path = folder().join(name);
        if path.is_dir() {
            let below = files(&path)?.into_iter();
            all.extend(
                below.filter(|(file, _)| !file.ends_with(TEST)).map(|(file, bytes)| (format!("{name}/{file}"), bytes)),
            );
        } else {
            all.insert(name.to_owned(), read(&path)?);
        }
    }
    let mut hash = Sha256::new();
    for (name, bytes) in &all {
        hash.update(format!("{name} {}\n", bytes.len()));
        hash.update(bytes);
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// All files below `folder`, by path with `/`.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = waiting.pop() {
        let entries = std::fs::read_dir(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        for entry in entries.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                waiting.push((entry.path(), format!("{name}/")));
            } else {
                found.insert(name, read(&entry.path())?);
            }
        }
    }
    Ok(found)
}

/// The table, as `rustfmt` would write it.
fn table(names: &[String]) -> String {
    let mut text = String::from(
        "//! The files of the portal, by their path below `/portal/`. Written by `cargo xtask portal`.\n\n\
         /// Path and bytes of each file.\n#[rustfmt::skip]\npub(super) static FILES: &[(&str, &[u8])] = &[\n",
    );
    for name in names {
        let _ = writeln!(text, "    (\"{name}\", include_bytes!(\"../../../../portal/dist/{name}\")),");
    }
    text.push_str("];\n");
    text
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
