//! Modules of one crate that must not use each other in circles: cargo sees none inside of a crate.
//!
//! A module is a file, `mod.rs` too. It uses what it names ([`crate::module_paths`]): what it gives on from others is no use of
//! them, and who takes it there uses the module that has it.

use crate::module_paths::{self, Named};
use crate::step::{root, say};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// The folders whose modules are looked at, and the path of their root in the crate.
const FOLDERS: &[(&str, &str)] =
    &[("crates/service/src/arm", "arm"), ("crates/client/src/az/commands", "az::commands")];

/// A use that closes a circle on purpose.
const KNOTS: &[(&str, &str)] = &[
    // What a type's hooks are given names the declaration that the hooks belong to.
    ("arm::context", "arm::declaration"),
];

/// For each module those that it uses, and one name by which.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

/// Checks every folder.
///
/// # Errors
/// Every circle, one a line, and every knot that is none any more.
pub(crate) fn check() -> Result<(), String> {
    let (mut breaches, mut modules) = (Vec::new(), 0);
    for (folder, path) in FOLDERS {
        let mut files = BTreeMap::new();
        read(&root().join(folder), path, &mut files)?;
        modules += files.len();
        breaches.extend(wrong(uses(&files), path, KNOTS));
    }
    if breaches.is_empty() {
        say(&format!("== circles: none, {modules} modules"));
        return Ok(());
    }
    Err(format!("circles:\n  {}", breaches.join("\n  ")))
}

/// Reads the files of a folder, by the paths of their modules.
fn read(folder: &Path, path: &str, files: &mut BTreeMap<String, Named>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if file.is_dir() {
            read(&file, &format!("{path}::{name}"), files)?;
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&file).map_err(failed)?;
            let module = if name == "mod" { path.to_owned() } else { format!("{path}::{name}") };
            files.insert(module, module_paths::read(&text));
        }
    }
    Ok(())
}

fn uses(files: &BTreeMap<String, Named>) -> Uses {
    let tests: BTreeSet<String> = files
        .iter()
        .flat_map(|(module, named)| named.tests.iter().map(move |name| format!("{module}::{name}")))
        .collect();
    let mut all = Uses::new();
    for (module, named) in files.iter().filter(|(module, _)| !tests.contains(*module)) {
        let found = all.entry(module.clone()).or_default();
        // A module that is only brought in counts by what is taken of it.
        let brought = named.uses.iter().filter_map(|used| {
            let path = absolute(files, module, &used.path)?;
            let given_on = used.public && path.starts_with(&format!("{module}::"));
            (!given_on && !files.contains_key(&path)).then_some(path)
        });
        for path in brought.chain(named.paths.iter().filter_map(|path| absolute(files, module, path))) {
            if let Some((home, item)) = home(files, &path, 0).filter(|(home, _)| home != module) {
                found.entry(home).or_insert(item);
            }
        }
    }
    all
}

/// A path as it is from the root of the crate; `None` for one that does not begin with a module or with what was brought in.
fn absolute(files: &BTreeMap<String, Named>, module: &str, path: &[String]) -> Option<String> {
    let mut base: Vec<&str> = module.split("::").collect();
    let (first, mut rest) = path.split_first()?;
    match first.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            base.pop();
            while let [next, below @ ..] = rest
                && next == "super"
            {
                base.pop();
                rest = below;
            }
        }
        name if files.contains_key(&format!("{module}::{name}")) => base.push(name),
        name => {
            let named = files.get(module)?;
            let used = named.uses.iter().find(|used| used.name == name && used.path.first() != Some(first))?;
            let above = absolute(files, module, &used.path)?;
            let below = rest.iter().map(String::as_str);
            return Some(std::iter::once(above.as_str()).chain(below).collect::<Vec<_>>().join("::"));
        }
    }
    Some(base.into_iter().chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join("::"))
}

/// The module that has what a path leads to, be it given on by others, and its name there.
fn home(files: &BTreeMap<String, Named>, path: &str, depth: usize) -> Option<(String, String)> {
    /// Modules through which something is given on at most.
    const DEPTH: usize = 8;
    let words: Vec<&str> = path.split("::").collect();
    let length = (1..=words.len()).rev().find(|length| files.contains_key(&words[..*length].join("::")))?;
    let module = words[..length].join("::");
    let given_on = words.get(length).and_then(|name| {
        let used = files[&module].uses.iter().find(|used| used.name == *name)?;
        absolute(files, &module, &used.path)
    });
    match given_on {
        Some(to) if depth < DEPTH && Some(to.as_str()) != words.get(..=length).map(|w| w.join("::")).as_deref() => {
            home(files, &[&[to.as_str()], &words[length + 1..]].concat().join("::"), depth + 1)
        }
        _ => Some((module, (*words.get(length).unwrap_or(&"*")).to_owned())),
    }
}

/// The circles below `root` and its knots that are none, as sentences.
fn wrong(mut uses: Uses, root: &str, knots: &[(&str, &str)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (from, to) in knots.iter().filter(|(from, _)| from.starts_with(root)) {
        let cut = uses.get_mut(*from).and_then(|used| used.remove(*to));
        if cut.is_none() || way(&uses, to, from).is_none() {
            breaches
                .push(format!("{from} and {to} are in no circle any more; take the knot out of xtask/src/circles.rs"));
        }
    }
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for module in uses.keys() {
        let back = uses[module].keys().filter_map(|next| way(&uses, next, module));
        let Some(circle) = back.min_by_key(Vec::len) else { continue };
        if !circle.iter().any(|module| told.contains(module)) {
            let steps = std::iter::once(module.as_str()).chain(circle.iter().copied()).zip(&circle);
            let steps: Vec<String> =
                steps.map(|(from, to)| format!("{from} uses {to} ({})", uses[from][*to])).collect();
            breaches.push(steps.join(", "));
        }
        told.extend(circle);
    }
    breaches
}

/// The shortest way from one module to another by uses, both among it.
fn way<'a>(uses: &'a Uses, from: &'a str, to: &'a str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(at) = waiting.pop_front() {
        if at == to {
            let mut steps = vec![at];
            while let Some(step) = steps.last().filter(|step| **step != from).and_then(|step| before.get(step)) {
                steps.push(step);
            }
            steps.reverse();
            return Some(steps);
        }
        for next in uses.get(at).into_iter().flat_map(BTreeMap::keys).map(String::as_str) {
            if next != from && !before.contains_key(next) {
                before.insert(next, at);
                waiting.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], knots: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(module, text)| ((*module).to_owned(), module_paths::read(text))).collect();
        wrong(uses(&files), "arm", knots)
    }

    #[test]
    fn circles_are_found_through_what_is_given_on_and_modules_that_are_brought_in() {
        let face = ("arm", "mod a; mod b; mod c; pub use b::B; pub(crate) use self::c::C;");
        let straight =
            [face, ("arm::a", "use super::B; fn f() { crate::arm::C::new() }"), ("arm::b", ""), ("arm::c", "")];
        assert!(found(&straight, &[]).is_empty());
        let circle = [
            straight[0],
            straight[1],
            ("arm::b", "use super::c;\nfn f() { c::g() }"),
            ("arm::c", "use crate::arm::a::A;"),
        ];
        assert_eq!(found(&circle, &[]), ["arm::a uses arm::c (C), arm::c uses arm::a (A)"]);
        let parent =
            [("arm", "mod a; mod b; fn f() { a::g() }"), ("arm::a", "use super::f;"), ("arm::b", "use super::a;")];
        assert_eq!(found(&parent, &[]), ["arm uses arm::a (g), arm::a uses arm (f)"]);
    }

    #[test]
    fn who_gives_something_on_does_not_use_it_and_is_not_used_for_it() {
        let given_on = [("arm", "mod a; pub use a::A; fn own() {}"), ("arm::a", "use super::own;")];
        assert!(found(&given_on, &[]).is_empty());
        let brought = [
            ("arm::a", "use super::d; fn f() { d::E::new() }"),
            ("arm::d", "mod e; pub use e::E; use super::a::A;"),
            ("arm::d::e", ""),
        ];
        assert!(found(&brought, &[]).is_empty());
    }

    #[test]
    fn a_knot_is_left_out_and_must_be_one() {
        let circle = [("arm::a", "use super::b::B;"), ("arm::b", "use super::a::A;")];
        assert!(found(&circle, &[("arm::b", "arm::a")]).is_empty());
        let open = [circle[0], ("arm::b", "")];
        for (files, knot) in [(&open, ("arm::b", "arm::a")), (&open, ("arm::a", "arm::b"))] {
            let breaches = found(files, &[knot]);
            assert!(breaches.len() == 1 && breaches[0].contains("no circle any more"), "{breaches:?}");
        }
    }
}
