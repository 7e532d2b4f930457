//! What somebody may have meant who wrote a word that is not known.

/// Likeness from which a word counts as meant: ours (Python's `difflib`, which `az` asks, has 0.6 to 0.7 for it).
const LEAST: f64 = 0.7;
/// Longest part of a word that is compared, characters: ours.
const LONGEST: usize = 64;

/// The choice that is most like `word`, ignoring case; `None` where none is like it.
pub fn closest<'c>(word: &str, choices: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    choices
        .into_iter()
        .map(|choice| (likeness(&word, &choice.to_lowercase()), choice))
        .filter(|(likeness, _)| *likeness >= LEAST)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, choice)| choice)
}

/// Twice the length of the longest common subsequence over the sum of lengths: 1 for equal words.
fn likeness(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(LONGEST).collect(), b.chars().take(LONGEST).collect());
    let mut row = vec![0usize; b.len() + 1];
    for x in &a {
        let mut diagonal = 0;
        for (index, y) in b.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if x == y { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    let total = a.len() + b.len();
    #[expect(clippy::cast_precision_loss, reason = "both are at most 128")]
    let ratio = 2.0 * row[b.len()] as f64 / total.max(1) as f64;
    ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let regions = ["westus", "westeurope", "northeurope"];
        assert_eq!(closest("WestEurop", regions), Some("westeurope"));
        assert_eq!(closest("--locaton", ["--name", "--location"]), Some("--location"));
        assert_eq!(closest("moon", regions), None);
        assert_eq!(closest("", regions), None);
    }
}
