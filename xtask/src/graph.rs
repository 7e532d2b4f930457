//! The resolved build graph, as `cargo tree` prints it.

use std::collections::{BTreeMap, BTreeSet};

/// Separator between a package and its licence in the format that we ask cargo for.
pub(crate) const FORMAT: &str = "{p}|{l}";

/// One package version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    /// Name.
    pub(crate) name: String,
    /// Version, without a leading `v`.
    pub(crate) version: String,
    /// Where it is from, if not from the default registry: a path, a Git URL.
    pub(crate) origin: Option<String>,
    /// SPDX expression; older crates write `/` for OR.
    pub(crate) licence: String,
}

/// Reads lines like `name v1.2.3 (proc-macro) (/path)|MIT OR Apache-2.0 (*)`.
///
/// # Errors
/// The line that has another form.
pub(crate) fn parse(text: &str) -> Result<BTreeSet<Package>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| package(line).ok_or_else(|| format!("cargo tree: '{line}' is not understood"))).collect()
}

fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.trim_end_matches(" (*)").rsplit_once('|')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let notes = words.next().unwrap_or_default().replace("(proc-macro)", "");
    let origin = notes.trim().trim_start_matches('(').trim_end_matches(')');
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        origin: (!origin.is_empty()).then(|| origin.to_owned()),
        licence: licence.trim().to_owned(),
    })
}

/// Whether an SPDX expression can be met with the licences in `allowed`.
pub(crate) fn licence_is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at, allowed);
    met && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at, allowed);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let met = any_of(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut licence = word.to_owned();
    if let (Some(&"WITH"), Some(exception)) = (words.get(*at), words.get(*at + 1)) {
        licence = format!("{word} WITH {exception}");
        *at += 2;
    }
    allowed.contains(&licence)
}

/// Versions of each name that semver keeps apart, newest last.
pub(crate) fn duplicates(packages: &BTreeSet<Package>) -> BTreeMap<String, Vec<String>> {
    let mut families: BTreeMap<String, BTreeMap<Vec<u64>, String>> = BTreeMap::new();
    for package in packages {
        let family = family(&package.version);
        families.entry(package.name.clone()).or_default().insert(numbers(&family), family);
    }
    families.retain(|_, versions| versions.len() > 1);
    families.into_iter().map(|(name, versions)| (name, versions.into_values().collect())).collect()
}

/// The part of a version that must be equal for two to be compatible: `2`, `0.9`, `0.0.4`.
fn family(version: &str) -> String {
    let plain = version.split(['-', '+']).next().unwrap_or(version);
    let parts: Vec<&str> = plain.split('.').collect();
    let significant = parts.iter().position(|part| *part != "0").map_or(parts.len(), |index| index + 1);
    parts[..significant].join(".")
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree() {
        let text = "serde v1.0.200|MIT OR Apache-2.0\nserde_derive v1.0.1 (proc-macro)|MIT (*)\nown v0.1.0 (/somewhere)|Apache-2.0\n\ngit v2.0.0 (https://x/y#1)|MIT\n";
        let packages: Vec<Package> = parse(text).unwrap().into_iter().collect();
        let origins: Vec<Option<&str>> = packages.iter().map(|package| package.origin.as_deref()).collect();
        assert_eq!(origins, [Some("https://x/y#1"), Some("/somewhere"), None, None]);
        assert_eq!((packages[3].name.as_str(), packages[3].licence.as_str()), ("serde_derive", "MIT"));
        assert!(parse("garbage").is_err());
    }

    #[test]
    fn licence_expressions() {
        let allowed: Vec<String> = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(String::from).to_vec();
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(licence_is_allowed(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT )", "GPL-3.0 WITH LLVM-exception", "OR MIT"] {
            assert!(!licence_is_allowed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn versions_that_semver_keeps_apart() {
        let package = |name: &str, version: &str| Package {
            name: name.into(),
            version: version.into(),
            origin: None,
            licence: String::new(),
        };
        let packages = BTreeSet::from([
            package("a", "1.0.0"),
            package("a", "1.9.0"),
            package("b", "0.9.1"),
            package("b", "0.10.0"),
            package("c", "0.0.1"),
            package("c", "0.0.2+x"),
        ]);
        let found = duplicates(&packages);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(found["b"], ["0.9", "0.10"]);
    }
}
