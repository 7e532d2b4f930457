//! The command table's notation.
//!
//! A command declares its options as lines of text, in the notation of the `az` reference:
//!
//! ```text
//! --name/-n! # Help.            required, one value
//! --unit int =1                 integer with a default
//! --sku {F1,S1} =S1             enum, matched without regard to case
//! --tags *                      zero or more values (+ one or more, ? at most one)
//! --verified/-v 3st             three-state: bare means true, or true|false|t|f|yes|no|y|n|1|0
//! --show-all/--all flag         store-true
//! ~--accept-terms               hidden from the help
//! key_value +                   positional
//! ```
//!
//! The first alias is the key by which a handler asks for the value.

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// None: the option is a flag.
    Zero,
    /// Exactly one.
    One,
    /// None or one.
    Optional,
    /// Any number.
    Any,
    /// One or more.
    Some,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A decimal integer.
    Integer,
    /// Three-state boolean.
    Switch,
    /// One of these.
    Choice(Vec<&'static str>),
}

/// One option, parsed from its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionSpec {
    /// Names with their dashes; a positional has one name without.
    pub(crate) aliases: Vec<&'static str>,
    /// Whether it must be given.
    pub(crate) required: bool,
    /// Number of values.
    pub(crate) count: Count,
    /// Kind of each value.
    pub(crate) kind: Kind,
    /// Value where it is not given.
    pub(crate) default: Option<&'static str>,
    /// Whether the help leaves it out.
    pub(crate) hidden: bool,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Whether `--ids` makes it superfluous.
    pub(crate) waived_by_ids: bool,
}

impl OptionSpec {
    /// Parses one line of the notation.
    ///
    /// # Errors
    /// A sentence about the line that is wrong.
    pub(crate) fn parse(line: &'static str) -> Result<Self, String> {
        let (declaration, help) = line.split_once(" # ").unwrap_or((line, ""));
        let mut words = declaration.split_whitespace();
        let names = words.next().ok_or_else(|| "an empty option line".to_owned())?;
        let (names, hidden) = names.strip_prefix('~').map_or((names, false), |rest| (rest, true));
        let (names, required) = names.strip_suffix('!').map_or((names, false), |rest| (rest, true));
        let mut spec = Self {
            aliases: names.split('/').collect(),
            required,
            count: Count::One,
            kind: Kind::Text,
            default: None,
            hidden,
            help: help.trim(),
            waived_by_ids: false,
        };
        if spec.aliases.len() > 1 && spec.aliases.iter().any(|alias| !alias.starts_with('-')) {
            return Err(format!("'{line}': an alias does not begin with '-'"));
        }
        for word in words {
            spec.refine(word).ok_or_else(|| format!("'{line}': '{word}' is not understood"))?;
        }
        Ok(spec)
    }

    fn refine(&mut self, word: &'static str) -> Option<()> {
        match word {
            "int" => self.kind = Kind::Integer,
            "3st" => (self.kind, self.count) = (Kind::Switch, Count::Optional),
            "flag" => self.count = Count::Zero,
            "*" => self.count = Count::Any,
            "+" => self.count = Count::Some,
            "?" => self.count = Count::Optional,
            _ => {
                if let Some(default) = word.strip_prefix('=') {
                    self.default = Some(default);
                } else {
                    let choices = word.strip_prefix('{')?.strip_suffix('}')?;
                    self.kind = Kind::Choice(choices.split(',').collect());
                }
            }
        }
        Some(())
    }

    /// The first alias: the key by which handlers ask.
    pub(crate) fn key(&self) -> &'static str {
        self.aliases.first().copied().unwrap_or_default()
    }

    /// Whether it is given by place and not by name.
    pub(crate) fn is_positional(&self) -> bool {
        !self.key().starts_with('-')
    }

    /// Its names as `az` writes them in errors.
    pub(crate) fn title(&self) -> String {
        self.aliases.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_notation() {
        let spec = OptionSpec::parse("--sku {F1,S1} =S1 # Pricing tier.").unwrap();
        assert_eq!(spec.kind, Kind::Choice(vec!["F1", "S1"]));
        assert_eq!((spec.default, spec.help, spec.required), (Some("S1"), "Pricing tier.", false));
        let spec = OptionSpec::parse("~--name/--resource-group/-n!").unwrap();
        assert!(spec.hidden && spec.required);
        assert_eq!(spec.title(), "--name/--resource-group/-n");
    }

    #[test]
    fn a_wrong_line_is_refused() {
        assert!(OptionSpec::parse("--x sometimes").is_err());
        assert!(OptionSpec::parse("--x/y").is_err());
        assert!(OptionSpec::parse("").is_err());
    }
}
