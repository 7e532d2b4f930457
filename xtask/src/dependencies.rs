//! The dependency rules of `deny.toml` over the resolved build graph, for all targets.

use crate::graph::{self, FORMAT, Package};
use crate::rules::Rules;
use crate::step::{cargo, output, root, say};
use std::collections::BTreeSet;

/// The task.
///
/// # Errors
/// As [`check`].
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => check(),
        [first, ..] => Err(format!("dependencies takes no arguments, not '{first}'")),
    }
}

/// Checks bans, licences, sources and duplicates.
///
/// # Errors
/// Every breach, one a line.
pub(crate) fn check() -> Result<(), String> {
    let path = root().join("deny.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("dependency rules: cannot read {}: {error}", path.display()))?;
    let rules = Rules::parse(&text)?;
    let arguments = [
        "tree",
        "--workspace",
        "--locked",
        "--edges",
        "normal,build,dev",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        FORMAT,
    ];
    let packages = graph::parse(&output("cargo tree", &mut cargo(&arguments))?)?;
    let breaches = breaches(&packages, &rules, &root().display().to_string());
    if breaches.is_empty() {
        say(&format!("== dependency rules: ok, {} packages", packages.len()));
        return Ok(());
    }
    Err(format!("dependency rules:\n  {}", breaches.join("\n  ")))
}

fn breaches(packages: &BTreeSet<Package>, rules: &Rules, root: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in packages {
        let Package { name, version, .. } = package;
        if let Some((_, reason)) = rules.banned.iter().find(|(banned, _)| banned == name) {
            breaches.push(format!("{name} {version} is banned: {reason}"));
        }
        if !graph::licence_is_allowed(&package.licence, &rules.licences) {
            breaches.push(format!(
                "{name} {version} has the licence '{}', which deny.toml does not allow",
                package.licence
            ));
        }
        // Paths are ours if they are below the workspace; anything else is not the default registry.
        if let Some(origin) = package.origin.as_deref().filter(|origin| !origin.starts_with(root)) {
            breaches.push(format!("{name} {version} comes from {origin}, not from the default registry"));
        }
    }
    let duplicates = graph::duplicates(packages);
    for (name, versions) in &duplicates {
        for version in &versions[..versions.len() - 1] {
            let entry = format!("{name}@{version}");
            if !rules.skipped.contains(&entry) {
                let all = versions.join(", ");
                breaches.push(format!(
                    "{name} is there in the versions {all}; unify them, or add \"{entry}\" to deny.toml with a reason"
                ));
            }
        }
    }
    for skipped in &rules.skipped {
        let used = skipped.split_once('@').is_some_and(|(name, version)| {
            duplicates.get(name).is_some_and(|versions| versions.iter().any(|one| one == version))
        });
        if !used {
            breaches.push(format!("deny.toml excuses {skipped}, which is no duplicate any more; remove the entry"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, licence: &str, origin: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            licence: licence.into(),
            origin: origin.map(String::from),
        }
    }

    fn rules(skipped: &[&str]) -> Rules {
        Rules {
            licences: vec!["MIT".into()],
            banned: vec![("ring".into(), "one provider".into())],
            skipped: skipped.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn each_rule_is_enforced() {
        let packages = BTreeSet::from([
            package("ring", "0.17.0", "MIT", None),
            package("strict", "1.0.0", "GPL-3.0", None),
            package("forked", "1.0.0", "MIT", Some("https://example.org/forked#1")),
            package("twice", "1.0.0", "MIT", None),
            package("twice", "2.0.0", "MIT", None),
            package("own", "0.1.0", "MIT", Some("/home/ana/own")),
        ]);
        let found = breaches(&packages, &rules(&["gone@1"]), "/home/ana");
        for (breach, word) in found.iter().zip(["default registry", "banned", "GPL-3.0", "twice@1", "gone@1"]) {
            assert!(breach.contains(word), "{breach}");
        }
        assert_eq!(found.len(), 5, "{found:?}");
    }

    #[test]
    fn an_excused_duplicate_passes() {
        let packages = BTreeSet::from([package("twice", "1.0.0", "MIT", None), package("twice", "2.0.0", "MIT", None)]);
        assert!(breaches(&packages, &rules(&["twice@1"]), "/home/ana").is_empty());
    }
}
