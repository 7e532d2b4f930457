//! From the text of a group's filter to its condition.

use super::{Condition, Member, Relation, refused};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{FILTER_DEPTH, FILTER_TERMS};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name, a number, a word of the language.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// A sign of one or two characters.
    Sign(&'static str),
}

const SIGNS: &[&str] = &["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", "."];
const RELATIONS: &[(&str, Relation)] = &[
    ("=", Relation::Equal),
    ("!=", Relation::Unequal),
    ("<>", Relation::Unequal),
    ("<=", Relation::AtMost),
    ("<", Relation::Less),
    (">=", Relation::AtLeast),
    (">", Relation::Greater),
];
const FUNCTIONS: &[(&str, Relation)] =
    &[("STARTSWITH", Relation::Starts), ("ENDSWITH", Relation::Ends), ("CONTAINS", Relation::Contains)];
const IS_DEFINED: &str = "IS_DEFINED";

pub(super) fn parse(text: &str, knows: fn(&[String]) -> bool) -> Result<Condition> {
    let mut parser = Parser { text, knows, tokens: tokens(text)?, at: 0, depth: 0, count: 0 };
    parser.take_word("WHERE");
    let condition = parser.either()?;
    match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.unexpected("AND, OR or its end is expected")),
    }
}

/// The tokens with their places, bytes from the start.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if first == '\'' {
            let (value, length) = quoted(&rest[1..]).ok_or_else(|| refused(text, at, "a quote is not closed"))?;
            tokens.push((at, Token::Text(value)));
            at += 1 + length;
        } else if is_number_start(rest) {
            let end = rest.find(|c: char| !is_word(c) && !".+-".contains(c)).unwrap_or(rest.len());
            tokens.push((at, Token::Word(rest[..end].to_owned())));
            at += end;
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push((at, Token::Word(rest[..end].to_owned())));
            at += end;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push((at, Token::Sign(sign)));
            at += sign.len();
        } else {
            return Err(refused(text, at, &format!("'{first}' is not expected")));
        }
    }
    Ok(tokens)
}

fn is_number_start(rest: &str) -> bool {
    rest.strip_prefix('-').unwrap_or(rest).starts_with(|c: char| c.is_ascii_digit())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-$".contains(c)
}

/// The text up to the closing quote, where two quotes are one, and how many bytes that were, the closing one among them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut at = 0;
    loop {
        let end = text[at..].find('\'')?;
        value.push_str(&text[at..at + end]);
        at += end + 1;
        if !text[at..].starts_with('\'') {
            return Some((value, at));
        }
        value.push('\'');
        at += 1;
    }
}

struct Parser<'a> {
    text: &'a str,
    knows: fn(&[String]) -> bool,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
    count: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    /// Where the next token stands.
    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.trim_end().len(), |(place, _)| *place)
    }

    fn unexpected(&self, expected: &str) -> Error {
        refused(self.text, self.place(), expected)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(text)) if text.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(text)) if *text == sign);
        self.at += usize::from(found);
        found
    }

    fn want_sign(&mut self, sign: &str) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("'{sign}' is expected"))) }
    }

    fn either(&mut self) -> Result<Condition> {
        let mut all = vec![self.both()?];
        while self.take_word("OR") {
            all.push(self.both()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::Or(all) })
    }

    fn both(&mut self) -> Result<Condition> {
        let mut all = vec![self.one()?];
        while self.take_word("AND") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::And(all) })
    }

    fn one(&mut self) -> Result<Condition> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH {
            return Err(self.unexpected(&format!("it is nested deeper than {FILTER_DEPTH}")));
        }
        let condition = if self.take_word("NOT") {
            Condition::Not(Box::new(self.one()?))
        } else if self.take_sign("(") {
            let inner = self.either()?;
            self.want_sign(")")?;
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    /// Counts what is compared.
    fn counted(&mut self) -> Result<()> {
        self.count += 1;
        if self.count > FILTER_TERMS {
            return Err(self.unexpected(&format!("it compares more than {FILTER_TERMS} values")));
        }
        Ok(())
    }

    fn term(&mut self) -> Result<Condition> {
        let called = matches!(self.tokens.get(self.at + 1), Some((_, Token::Sign("("))));
        if called && let Some(Token::Word(name)) = self.peek().cloned() {
            return self.function(&name);
        }
        let member = self.member()?;
        if self.take_word("IN") {
            return self.list(member);
        }
        let found = RELATIONS.iter().find(|(sign, _)| matches!(self.peek(), Some(Token::Sign(text)) if text == sign));
        let Some((_, relation)) = found else {
            return Err(self.unexpected("=, !=, <, <=, >, >= or IN is expected"));
        };
        self.at += 1;
        let place = self.place();
        let value = self.literal()?;
        let ordered = !matches!(relation, Relation::Equal | Relation::Unequal);
        if ordered && !value.is_string() && !value.is_number() {
            return Err(refused(self.text, place, "a text or a number is expected"));
        }
        Ok(Condition::Is(member, *relation, value))
    }

    fn function(&mut self, name: &str) -> Result<Condition> {
        let relation =
            FUNCTIONS.iter().find(|(word, _)| word.eq_ignore_ascii_case(name)).map(|(_, relation)| *relation);
        if relation.is_none() && !name.eq_ignore_ascii_case(IS_DEFINED) {
            return Err(self.unexpected("the functions are STARTSWITH, ENDSWITH, CONTAINS and IS_DEFINED"));
        }
        self.at += 1;
        self.want_sign("(")?;
        let member = self.member()?;
        let condition = match relation {
            None => {
                self.counted()?;
                Condition::Defined(member)
            }
            Some(relation) => {
                self.want_sign(",")?;
                let place = self.place();
                let value = self.literal()?;
                if !value.is_string() {
                    return Err(refused(self.text, place, "a text in quotes is expected"));
                }
                Condition::Is(member, relation, value)
            }
        };
        self.want_sign(")")?;
        Ok(condition)
    }

    /// `['a', 'b']`, or the same in parentheses.
    fn list(&mut self, member: Member) -> Result<Condition> {
        let close = match self.take_sign("[") {
            true => "]",
            false if self.take_sign("(") => ")",
            false => return Err(self.unexpected("'[' is expected")),
        };
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            values.push(self.literal()?);
        }
        self.want_sign(close)?;
        Ok(Condition::In(member, values))
    }

    fn member(&mut self) -> Result<Member> {
        let start = self.place();
        let mut member = vec![self.step()?];
        loop {
            if self.take_sign(".") {
                member.push(self.step()?);
            } else if self.take_sign("[") {
                let Some(Token::Text(text)) = self.peek().cloned() else {
                    return Err(self.unexpected("a name in quotes is expected"));
                };
                self.at += 1;
                member.push(text);
                self.want_sign("]")?;
            } else {
                break;
            }
        }
        if (self.knows)(&member) {
            return Ok(member);
        }
        Err(refused(
            self.text,
            start,
            "a device has no such member; it has name, location, tags, properties and attributes",
        ))
    }

    fn step(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(text)) if !is_number_start(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected("the name of a member is expected")),
        }
    }

    fn literal(&mut self) -> Result<Value> {
        self.counted()?;
        let value = match self.peek() {
            Some(Token::Text(text)) => Some(Value::from(text.clone())),
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "null" => Some(Value::Null),
                number if is_number_start(number) => serde_json::from_str(number).ok(),
                _ => None,
            },
            _ => None,
        };
        let value =
            value.ok_or_else(|| self.unexpected("a text in quotes, a number, true, false or null is expected"))?;
        self.at += 1;
        Ok(value)
    }
}
