//! Keys in the paths of Graph, which stand in brackets.

/// A path with each key as a segment of its own: `users('ann@x')` is `users/ann@x`, and `servicePrincipals(appId='a')` is
/// `servicePrincipals/(appId='a')`.
pub(super) fn keyed(path: Vec<String>) -> Vec<String> {
    let mut segments = Vec::with_capacity(path.len());
    for segment in path {
        match segment.find('(').filter(|at| *at > 0 && segment.ends_with(')')) {
            Some(at) => {
                let (word, key) = segment.split_at(at);
                let plain = key.strip_prefix("('").and_then(|rest| rest.strip_suffix("')"));
                segments.push(word.to_owned());
                segments.push(plain.unwrap_or(key).replace("''", "'"));
            }
            None => segments.push(segment),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_brackets_are_segments() {
        let of = |path: &str| keyed(path.split('/').map(str::to_owned).collect()).join(" ");
        assert_eq!(of("users('o''neil@x')/memberOf"), "users o'neil@x memberOf");
        assert_eq!(of("servicePrincipals(appId='a')"), "servicePrincipals (appId='a')");
        assert_eq!(of("groups/x/members/$ref"), "groups x members $ref");
        assert_eq!(of("(x)"), "(x)");
    }
}
