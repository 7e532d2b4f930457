//! Azure's commands, by which one that is not built here is told from a misspelling.

use super::help::rest_of;
use super::table;

/// Every command of azure-cli 2.91 and azure-iot in the groups of which something is built, one a line; of the other
/// groups the first word.
const COMMANDS: &str = include_str!("azure_commands.txt");

/// How many of the words are Azure's: the longest path that is one of its groups or commands.
pub(crate) fn known(words: &[String]) -> usize {
    let is_known = |path: &str| COMMANDS.lines().any(|line| line == path || rest_of(line, path).is_some());
    let alone = |first: &str| COMMANDS.lines().any(|line| line == first);
    let longest = (1..=words.len()).rev().find(|used| is_known(&words[..*used].join(" ")));
    match longest {
        // Of a group that is known by its first word, every word is taken for Azure's.
        Some(1) if alone(&words[0]) => words.len(),
        found => found.unwrap_or(0),
    }
}

/// The words below a group that Azure has and the table here has not.
pub(crate) fn not_built(prefix: &str) -> Vec<&'static str> {
    let has = |word: &str| {
        let below = table::all().filter_map(|command| rest_of(command.words, prefix));
        below.into_iter().any(|rest| rest.split(' ').next() == Some(word))
    };
    let below = COMMANDS.lines().filter_map(|line| rest_of(line, prefix)).filter_map(|rest| rest.split(' ').next());
    let mut words: Vec<&str> = below.filter(|word| !has(word)).collect();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &str) -> Vec<String> {
        path.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_list_is_sorted_and_has_what_is_built() {
        assert!(COMMANDS.lines().is_sorted());
        for path in
            ["iot hub create", "iot dps enrollment-group show", "role assignment create", "iot adr ns policy show"]
        {
            assert_eq!(known(&words(path)), words(path).len(), "{path}");
        }
    }

    #[test]
    fn what_is_azures_is_known_and_nothing_else() {
        for (path, count) in [
            ("iot hub query", 3),
            ("iot hub route create", 4),
            ("iot hub route creat", 3),
            ("vm create", 2),
            ("vm", 1),
            ("iot hubb", 1),
            ("hubb", 0),
        ] {
            assert_eq!(known(&words(path)), count, "{path}");
        }
        assert!(not_built("iot hub").contains(&"route") && !not_built("iot hub").contains(&"create"));
        assert!(not_built("").contains(&"vm"));
    }

    /// What people read of this command line: which of Azure's `az iot` commands work, and which do not.
    #[test]
    fn the_list_of_what_is_missing_is_true() {
        const DOCS: &str = include_str!("../../../../docs/howto/az-commands.md");
        let has = |line: &str| table::all().any(|command| command.words == line);
        let of_iot = || COMMANDS.lines().filter(|line| line.starts_with("iot "));
        let missing: Vec<&str> = of_iot().filter(|line| !has(line)).collect();
        let told: Vec<&str> =
            DOCS.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(line, _)| line).collect();
        assert_eq!(told, missing, "docs/howto/az-commands.md");
        let all = of_iot().count();
        let counted = format!("Of {all} `az iot` commands");
        let work = format!(", {} work with `ferrohub az`", all - missing.len());
        assert!(DOCS.contains(&counted) && DOCS.contains(&work), "{all}, of which {} work", all - missing.len());
    }
}
