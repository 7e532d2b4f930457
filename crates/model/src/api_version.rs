//! Azure api-versions: `YYYY-MM-DD`, optionally with a suffix such as `-preview`.

use crate::error::{Error, Result};
use std::cmp::Ordering;

/// A syntactically valid api-version. Ordered by date; a preview stands before the stable one of its day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// Parses `2026-03-01` or `2026-03-01-preview` (any case).
    ///
    /// # Errors
    /// `InvalidApiVersionParameter` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        let (date, suffix) = match lower.get(..10) {
            Some(date) => (date, &lower[10..]),
            None => ("", ""),
        };
        let digits_ok = date.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
        let suffix_ok = suffix.is_empty()
            || suffix.strip_prefix('-').is_some_and(|s| {
                !s.is_empty() && s.len() <= 20 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        if date.len() != 10 || !digits_ok || !suffix_ok {
            let shown: String = text.chars().take(40).collect();
            return Err(Error::invalid(format!(
                "The api-version '{shown}' is invalid. It has the form '2026-03-01' or '2026-03-01-preview'."
            ))
            .with_code("InvalidApiVersionParameter"));
        }
        Ok(Self(lower))
    }

    /// The lower-cased text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The date part, `YYYY-MM-DD`.
    pub fn date(&self) -> &str {
        &self.0[..10]
    }

    /// The order of this version and one that a type declares, which is well-formed and in lower case.
    pub fn cmp_declared(&self, declared: &str) -> Ordering {
        rank(&self.0).cmp(&rank(declared))
    }

    /// Whether the version has a suffix such as `-preview`.
    pub fn is_preview(&self) -> bool {
        self.0.len() > 10
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What versions are ordered by: the date, previews before the stable one, the text.
fn rank(text: &str) -> (&str, bool, &str) {
    (text.get(..10).unwrap_or(text), text.len() <= 10, text)
}

impl PartialOrd for ApiVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ApiVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        rank(&self.0).cmp(&rank(&other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_syntax() {
        let v = |t: &str| ApiVersion::parse(t).unwrap();
        assert!(v("2025-11-01-preview") < v("2025-11-01"));
        assert!(v("2025-11-01") < v("2026-03-01-preview"));
        assert_eq!(v("2025-11-01-PREVIEW").cmp_declared("2025-11-01"), Ordering::Less);
        assert_eq!(v("2026-03-01-preview").cmp_declared("2026-03-01-preview"), Ordering::Equal);
        for bad in ["", "2025", "2025-1-01", "2025-11-01preview", "2025-11-01-", "é025-11-01"] {
            assert_eq!(ApiVersion::parse(bad).unwrap_err().code, "InvalidApiVersionParameter", "{bad}");
        }
    }
}
