//! The dependency rules, read from `deny.toml`.

/// What `deny.toml` allows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Licences, as SPDX identifiers.
    pub(crate) licences: Vec<String>,
    /// Names of crates that may not be in the graph, with the reason.
    pub(crate) banned: Vec<(String, String)>,
    /// Second versions that are known, as `name@version prefix`.
    pub(crate) skipped: Vec<String>,
}

impl Rules {
    /// Reads the part of TOML that the file keeps to: one list entry a line.
    ///
    /// # Errors
    /// The line that is not understood, or the rule that is missing: rules that are misread must not pass.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        let (mut section, mut list) = (String::new(), String::new());
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let misread = || format!("deny.toml line {}: '{line}' is not understood", number + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !list.is_empty() {
                match line {
                    "]" => list.clear(),
                    entry => rules.add(&section, &list, entry).ok_or_else(misread)?,
                }
            } else if let Some(name) = line.strip_prefix('[') {
                section = name.strip_suffix(']').ok_or_else(misread)?.to_owned();
            } else if let Some(name) = line.strip_suffix(" = [") {
                name.clone_into(&mut list);
            } else if !line.contains(" = ") {
                return Err(misread());
            }
        }
        if rules.licences.is_empty() || rules.banned.is_empty() {
            return Err("deny.toml names no licences or bans nothing".to_owned());
        }
        Ok(rules)
    }

    fn add(&mut self, section: &str, list: &str, entry: &str) -> Option<()> {
        match (section, list) {
            ("licenses", "allow") => self.licences.push(entry.strip_suffix(',')?.trim_matches('"').to_owned()),
            ("bans", "deny") => self.banned.push((field(entry, "crate")?, field(entry, "reason")?)),
            ("bans", "skip") => {
                // An exception without a reason is none.
                field(entry, "reason")?;
                self.skipped.push(field(entry, "crate")?);
            }
            _ => return None,
        }
        Some(())
    }
}

/// The text after `name = "` in an inline table.
fn field(entry: &str, name: &str) -> Option<String> {
    let (_, rest) = entry.split_once(&format!("{name} = \""))?;
    let (value, _) = rest.split_once('"')?;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_rules_are_read() {
        let rules = Rules::parse(include_str!("../../deny.toml")).unwrap();
        assert!(rules.licences.iter().any(|licence| licence == "MIT"));
        assert!(rules.licences.iter().any(|licence| licence == "Apache-2.0 WITH LLVM-exception"));
        let banned: Vec<&str> = rules.banned.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(banned, ["ring", "openssl", "openssl-sys", "native-tls"]);
        assert!(rules.skipped.iter().any(|skipped| skipped == "syn@2"));
    }

    #[test]
    fn a_rule_that_is_misread_is_refused() {
        let head = "[licenses]\nallow = [\n  \"MIT\",\n]\n[bans]\n";
        let good = format!("{head}deny = [\n  {{ crate = \"ring\", reason = \"r\" }},\n]\n");
        assert!(Rules::parse(&good).is_ok());
        for bad in ["deny = [\n  { crate = \"ring\" },\n]\n", "deny = [\n  \"ring\",\n]\n", "nonsense\n", ""] {
            assert!(Rules::parse(&format!("{head}{bad}")).is_err(), "{bad}");
        }
    }
}
