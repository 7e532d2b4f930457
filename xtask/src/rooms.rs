//! The arrows between our crates, which cargo-deny cannot tell from the other edges: it does not know a crate's own
//! dependencies from those of its tests.

use crate::step::{cargo, output, say};
use std::collections::BTreeSet;

/// A crate, the crates of ours that its product code may use, and what it may not even reach through others.
struct Room {
    name: &'static str,
    uses: &'static [&'static str],
    never: &'static [&'static str],
}

/// ARCHITECTURE.md draws this table.
const ROOMS: &[Room] = &[
    Room { name: "model", uses: &[], never: &["tokio", "hyper", "rustls", "rusqlite", "aws-lc-rs"] },
    Room { name: "clock", uses: &["model"], never: &["hyper", "rustls", "rusqlite", "aws-lc-rs"] },
    Room { name: "wire", uses: &["model"], never: &["tokio", "hyper", "rustls", "rusqlite"] },
    Room { name: "pki", uses: &["model"], never: &["tokio", "hyper", "rustls", "rusqlite"] },
    Room { name: "keys-pkcs11", uses: &["model", "pki"], never: &["hyper", "rustls", "rusqlite"] },
    Room { name: "store", uses: &["model"], never: &["tokio", "hyper", "rustls", "rusqlite"] },
    Room { name: "store-sqlite", uses: &["model", "store"], never: &["hyper", "rustls"] },
    Room { name: "messaging", uses: &["model"], never: &["hyper", "rustls", "rusqlite"] },
    Room { name: "messaging-local", uses: &["model", "messaging"], never: &["hyper", "rustls", "rusqlite"] },
    Room {
        name: "service",
        uses: &["model", "wire", "pki", "store", "messaging"],
        never: &["hyper", "rustls", "rusqlite"],
    },
    Room { name: "frontdoor", uses: &["model", "wire", "pki", "service"], never: &["rusqlite"] },
    Room { name: "client", uses: &["model", "wire", "pki"], never: &["rusqlite"] },
];

/// What the names of our crates begin with.
const OURS: &str = "ferrohub-";

/// Checks every room.
///
/// # Errors
/// Every arrow that must not be there, one a line, and every crate that is in no row.
pub(crate) fn check() -> Result<(), String> {
    let mut breaches = Vec::new();
    for room in ROOMS {
        let direct = crates(room.name, &["--depth", "1"])?;
        let all = crates(room.name, &[])?;
        breaches.extend(wrong(room, &direct, &all));
    }
    breaches.extend(unknown()?);
    if breaches.is_empty() {
        say(&format!("== rooms: ok, {} crates", ROOMS.len()));
        return Ok(());
    }
    Err(format!("rooms:\n  {}", breaches.join("\n  ")))
}

/// Names of the crates that `room` is built from, itself left out.
fn crates(room: &str, extra: &[&str]) -> Result<BTreeSet<String>, String> {
    let package = format!("{OURS}{room}");
    let mut tree = cargo(&["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let text = output("cargo tree", tree.args(["--package", &package]).args(extra))?;
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != package).map(str::to_owned).collect())
}

fn wrong(room: &Room, direct: &BTreeSet<String>, all: &BTreeSet<String>) -> Vec<String> {
    let ours = direct.iter().filter_map(|name| name.strip_prefix(OURS));
    let arrows = ours.filter(|name| !room.uses.contains(name)).map(|name| {
        format!(
            "{} uses {name}; it may use {}",
            room.name,
            if room.uses.is_empty() { "none of ours".into() } else { room.uses.join(", ") }
        )
    });
    let reached =
        room.never.iter().filter(|name| all.contains(**name)).map(|name| {
            format!("{} reaches {name}: cargo tree --package {OURS}{} --invert {name}", room.name, room.name)
        });
    arrows.chain(reached).collect()
}

/// Crates below `crates/` that have no row. The program itself may use everything.
fn unknown() -> Result<Vec<String>, String> {
    let folder = crate::step::root().join("crates");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let new = names.filter(|name| name != "ferrohub" && !ROOMS.iter().any(|room| room.name == name));
    Ok(new.map(|name| format!("crates/{name} has no row in xtask/src/rooms.rs")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_that_is_not_drawn_and_a_crate_behind_others_are_found() {
        let room = Room { name: "wire", uses: &["model"], never: &["tokio"] };
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let good = set(&["ferrohub-model", "bytes"]);
        assert!(wrong(&room, &good, &good).is_empty());
        let found = wrong(&room, &set(&["ferrohub-model", "ferrohub-store"]), &set(&["ferrohub-model", "tokio"]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("wire uses store") && found[1].contains("wire reaches tokio"), "{found:?}");
    }
}
