//! ETags in `If-Match` and `If-None-Match`.
//!
//! Clients send them quoted, bare, weak, quoted twice, as `*` and as `"*"` (reference B.2 and C), so
//! everything is compared after the quotes are gone.

/// The condition of one header value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagCondition {
    /// `*` or `"*"`: whatever exists.
    Any,
    /// One of these, without quotes.
    OneOf(Vec<String>),
}

impl EtagCondition {
    /// Parses a header value; never fails, because a value that is no ETag simply matches nothing.
    pub fn parse(value: &str) -> Self {
        let tags: Vec<String> = split_list(value).map(bare).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        if tags.iter().any(|tag| tag == "*") { Self::Any } else { Self::OneOf(tags) }
    }

    /// `If-Match`: whether a thing with this ETag (quoted or not) may be changed; `None` = there is no thing.
    pub fn allows_match(&self, current: Option<&str>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::OneOf(tags), Some(current)) => tags.iter().any(|tag| tag == bare(current)),
        }
    }

    /// `If-None-Match`: whether the request may go on; `*` means "only if there is none yet".
    pub fn allows_none_match(&self, current: Option<&str>) -> bool {
        !self.allows_match(current)
    }
}

/// The tag without space, weakness mark and quotes, however often they were put around it: what comes out stays
/// as it is when it goes in again.
pub fn bare(tag: &str) -> &str {
    let mut tag = tag.trim();
    loop {
        // A bare base64 tag may begin with "W/", so the mark counts only before a quote.
        tag = tag.strip_prefix("W/").filter(|rest| rest.starts_with('"')).unwrap_or(tag);
        let Some(inner) = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return tag };
        tag = inner.trim();
    }
}

/// The tag in quotes, as the `ETag` header wants it.
pub fn quoted(tag: &str) -> String {
    format!("\"{}\"", bare(tag))
}

/// Splits at commas outside quotes.
fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    value.split(move |c| {
        if c == '"' {
            inside = !inside;
        }
        c == ',' && !inside
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_spellings_of_one_tag() {
        for value in ["abc=", "\"abc=\"", "W/\"abc=\"", " \"\"abc=\"\" ", "\"x\", \"abc=\"", "x,abc="] {
            let condition = EtagCondition::parse(value);
            for current in ["abc=", "\"abc=\"", "W/\"abc=\""] {
                assert!(condition.allows_match(Some(current)), "{value} {current}");
                assert!(!condition.allows_none_match(Some(current)), "{value} {current}");
            }
            assert!(!condition.allows_match(Some("abd=")), "{value}");
            assert!(!condition.allows_match(None), "{value}");
            assert!(condition.allows_none_match(None), "{value}");
        }
    }

    #[test]
    fn the_star() {
        for value in ["*", "\"*\"", " * "] {
            let condition = EtagCondition::parse(value);
            assert_eq!(condition, EtagCondition::Any);
            assert!(condition.allows_match(Some("x")));
            assert!(!condition.allows_match(None));
            assert!(condition.allows_none_match(None));
            assert!(!condition.allows_none_match(Some("x")));
        }
    }

    #[test]
    fn odd_values() {
        assert_eq!(EtagCondition::parse(""), EtagCondition::OneOf(vec![]));
        assert_eq!(EtagCondition::parse("\"\""), EtagCondition::OneOf(vec![]));
        assert_eq!(EtagCondition::parse("\"a,b\""), EtagCondition::OneOf(vec!["a,b".into()]));
        assert_eq!(bare("W/abc"), "W/abc");
        assert_eq!(bare("\""), "\"");
        assert_eq!(quoted("\"a\""), "\"a\"");
        // Found by the fuzzer: what was left kept a space or a mark, and so did not match itself.
        assert_eq!((bare("\"abc=\n\""), bare("\"W/\"abc=\"\"")), ("abc=", "abc="));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(value in "[\"W/*, a\\PC]{0,20}", current in "\\PC{0,10}") {
            let condition = EtagCondition::parse(&value);
            prop_assert_ne!(condition.allows_match(Some(&current)), condition.allows_none_match(Some(&current)));
        }

        #[test]
        fn a_quoted_tag_matches_itself(tag in "[A-Za-z0-9+/=-]{1,40}") {
            prop_assert!(EtagCondition::parse(&quoted(&tag)).allows_match(Some(&tag)));
        }
    }
}
