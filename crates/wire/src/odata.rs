//! The `$filter` of OData, as lists of Resource Manager and Graph take it: comparisons, `and`, `or`, `not`, parentheses,
//! the functions of texts, and the `any` of a list. Texts compare ignoring case, as ARM's do.
//!
//! What a list can be asked about is a [`Terms`]; a field or a function that is not in it is refused by name, so that
//! no filter is taken and not obeyed.

mod parser;

use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::FILTER_BYTES;

/// What a list can be filtered by.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Members, in their canonical spelling; they are recognised ignoring case.
    pub fields: &'static [&'static str],
    /// Functions that stand by themselves, such as `atScope()` and `assignedTo('..')`.
    pub marks: &'static [&'static str],
}

/// A filter whose every name its list knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// One of them holds.
    Or(Vec<Filter>),
    /// All of them hold.
    And(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A member has this relation to a text; both are in lower case when they are compared.
    Is(&'static str, Relation, String),
    /// Something holds for one of the member's values, which stands for the member inside.
    Any(&'static str, Box<Filter>),
    /// A function that stands by itself, with its text if it has one.
    Mark(&'static str, Option<String>),
}

/// How a member is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `eq`.
    Equal,
    /// `ne`.
    Unequal,
    /// `startswith`.
    Starts,
    /// `endswith`.
    Ends,
    /// `contains` and `substringof`.
    Contains,
}

/// What a filter is asked about.
pub trait Asked {
    /// The values of a member; none where it is missing, several where it is a list.
    fn values(&self, field: &str) -> Vec<String>;

    /// Whether a function that stands by itself holds.
    fn holds(&self, mark: &str, text: Option<&str>) -> bool {
        let _ = (mark, text);
        true
    }
}

impl Filter {
    /// Parses a `$filter`; a blank one is none.
    ///
    /// # Errors
    /// `InvalidFilterInQueryString` saying what is not understood, or which names the list knows.
    pub fn parse(text: &str, terms: &Terms) -> Result<Option<Self>> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        if text.len() > FILTER_BYTES {
            return Err(refused(text, &format!("it has more than {FILTER_BYTES} bytes")));
        }
        parser::parse(text, terms).map(Some)
    }

    /// Whether it holds for this.
    pub fn matches(&self, row: &dyn Asked) -> bool {
        match self {
            Self::Or(some) => some.iter().any(|filter| filter.matches(row)),
            Self::And(all) => all.iter().all(|filter| filter.matches(row)),
            Self::Not(inner) => !inner.matches(row),
            Self::Is(field, Relation::Unequal, text) => !relates(row, field, Relation::Equal, text),
            Self::Is(field, relation, text) => relates(row, field, *relation, text),
            Self::Any(field, inner) => row.values(field).into_iter().any(|value| inner.matches(&One(value))),
            Self::Mark(mark, text) => row.holds(mark, text.as_deref()),
        }
    }

    /// Every member and function that it names, as often as it names them.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Or(inner) | Self::And(inner) => inner.iter().flat_map(Self::names).collect(),
            Self::Not(inner) => inner.names(),
            Self::Is(name, ..) | Self::Any(name, _) | Self::Mark(name, _) => vec![name],
        }
    }
}

/// One value of a list, whatever it is called.
struct One(String);

impl Asked for One {
    fn values(&self, _: &str) -> Vec<String> {
        vec![self.0.clone()]
    }
}

fn relates(row: &dyn Asked, field: &str, relation: Relation, text: &str) -> bool {
    let wanted = text.to_lowercase();
    row.values(field).iter().map(|value| value.to_lowercase()).any(|value| match relation {
        Relation::Equal => value == wanted,
        Relation::Unequal => value != wanted,
        Relation::Starts => value.starts_with(&wanted),
        Relation::Ends => value.ends_with(&wanted),
        Relation::Contains => value.contains(&wanted),
    })
}

/// The refusal of a filter, with the reason.
fn refused(text: &str, why: &str) -> Error {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Error::invalid(format!("The $filter '{shown}' is not served here: {why}.")).with_code("InvalidFilterInQueryString")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms =
        Terms { fields: &["name", "location", "tags", "identity/principalId"], marks: &["atScope", "assignedTo"] };

    struct Pump;

    impl Asked for Pump {
        fn values(&self, field: &str) -> Vec<String> {
            match field {
                "name" => vec!["Pump-1".into()],
                "location" => vec!["westeurope".into()],
                "tags" => vec!["hall".into(), "it's".into()],
                _ => Vec::new(),
            }
        }

        fn holds(&self, mark: &str, text: Option<&str>) -> bool {
            mark == "atScope" || text == Some("me")
        }
    }

    fn holds(text: &str) -> bool {
        Filter::parse(text, &TERMS).unwrap_or_else(|error| panic!("{text}: {error}")).unwrap().matches(&Pump)
    }

    #[test]
    fn what_holds_and_what_does_not() {
        for text in [
            "name eq 'pump-1'",
            "Name EQ 'PUMP-1'",
            "name ne 'x'",
            "identity/principalId ne 'x'",
            "name eq 'x' or location eq 'westeurope'",
            "name eq 'x' and name eq 'y' or tags eq 'hall'",
            "tags eq 'hall' or name eq 'x' and name eq 'y'",
            "not (name eq 'x')",
            "not name eq 'x' and not(name eq 'y')",
            "( ( name eq 'pump-1' ) )",
            "startswith(name, 'pump') and endswith(name,'-1')",
            "substringof('UMP', name) and contains(name, 'ump') eq true",
            "contains(name, 'x') eq false",
            "tags eq 'it''s'",
            "tags/any(t: t eq 'hall')",
            "tags/any(t:startswith(t, 'ha') and t ne 'x')",
            "name in ('a', 'pump-1')",
            "atScope() and assignedTo('me')",
            "name eq pump-1",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "name eq 'pump'",
            "identity/principalId eq ''",
            "name ne 'PUMP-1'",
            "tags ne 'hall'",
            "name eq 'pump-1' and location eq 'x'",
            "(name eq 'x' or name eq 'y') and tags eq 'hall'",
            "not (name eq 'pump-1')",
            "tags/any(t: t eq 'x')",
            "name in ('a')",
            "assignedTo('you')",
            "contains(name, 'ump') ne true",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_reason() {
        let deep = format!("{}name eq 'a'{}", "(".repeat(2000), ")".repeat(2000));
        let long = format!("name eq '{}'", "x".repeat(FILTER_BYTES));
        let many = vec!["name eq 'a'"; 250].join(" or ");
        for (text, why) in [
            ("colour eq 'red'", "'colour'"),
            ("name gt 'a'", "'gt'"),
            ("name eq", "ends"),
            ("name eq 'a", "quote"),
            ("name eq 'a' xor name eq 'b'", "'xor'"),
            ("(name eq 'a'", "')'"),
            ("name eq 'a')", "')'"),
            ("name", "ends"),
            ("nothing(name)", "'nothing'"),
            ("startswith(name)", "startswith"),
            ("startswith('a', 'b')", "startswith"),
            ("startswith(colour, 'b')", "'colour'"),
            ("atScope('x', 'y')", "atScope"),
            ("tags/any(t: u eq 'a')", "'u'"),
            ("name in ()", "in"),
            ("name eq 'a' and", "ends"),
            ("and name eq 'a'", "'and'"),
            ("name eq 'a' \u{1F600}", "'\u{1F600}'"),
            (&deep, "deep"),
            (&long, "bytes"),
            (&many, "terms"),
        ] {
            let error = Filter::parse(text, &TERMS).expect_err(text);
            assert_eq!(error.code, "InvalidFilterInQueryString");
            assert!(error.message.contains(why), "{why}: {}", error.message);
        }
        assert!(Filter::parse("colour eq 'x'", &TERMS).unwrap_err().message.contains("name, location"));
        for blank in ["", "  "] {
            assert_eq!(Filter::parse(blank, &TERMS).unwrap(), None);
        }
    }

    #[test]
    fn any_text_is_answered_without_a_panic() {
        let words = ["name", "eq", "'a'", "(", ")", "not", "and", "or", ",", "tags/any(", "t:", "'", "in", "é", "\0"];
        let mut seed = 7u64;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..(seed % 9) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(words[usize::try_from(seed >> 33).unwrap_or_default() % words.len()]);
                if seed.is_multiple_of(3) {
                    text.push(' ');
                }
            }
            seed = seed.wrapping_add(1);
            if let Ok(Some(filter)) = Filter::parse(&text, &TERMS) {
                assert!(!filter.names().is_empty(), "{text}");
            }
        }
    }
}
