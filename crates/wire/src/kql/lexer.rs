//! Words, marks and literals of a query, with their places.

use super::value::Value;
use super::{Fault, FaultKind, Result, times};

/// Most tokens of a query: ours.
const TOKENS: usize = 8000;

/// What a token is.
#[derive(Debug, Clone)]
pub(crate) enum Token {
    /// A name or a word of the language; `!in`, `in~`, `!has` and their like are one word.
    Word(String),
    /// Text in quotes.
    Text(String),
    /// Any other literal.
    Literal(Value<'static>),
    /// A mark such as `|`, `==` or `..`.
    Mark(&'static str),
    /// The end.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) token: Token,
    /// Byte offset of its first byte.
    pub(crate) at: usize,
    /// Byte offset behind its last byte.
    pub(crate) end: usize,
}

/// Marks, longer ones first.
const MARKS: &[&str] = &[
    "==", "!=", "=~", "!~", "<=", ">=", "<>", "..", "=>", "|", "(", ")", "[", "]", "{", "}", ",", ";", ":", ".", "+",
    "-", "*", "/", "%", "<", ">", "=", "~",
];

/// Words that take what stands in their parentheses as a literal.
const LITERALS: &[&str] = &[
    "datetime", "date", "timespan", "time", "dynamic", "bool", "boolean", "int", "long", "real", "double", "decimal",
    "guid",
];

/// The tokens of `text`; the last one is [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Spot>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut all = Vec::new();
    loop {
        let spot = lexer.next()?;
        let ended = matches!(spot.token, Token::End);
        all.push(spot);
        if ended {
            return Ok(all);
        }
        if all.len() > TOKENS {
            return Err(Fault::limit(format!("The query has more than {TOKENS} words.")));
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        let token: String = self.rest().chars().take(20).collect();
        Fault::new(FaultKind::Syntax, message, self.at, token)
    }

    fn skip(&mut self) {
        loop {
            let blank = self.rest().len() - self.rest().trim_start().len();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Spot> {
        self.skip();
        let at = self.at;
        let token = self.token()?;
        Ok(Spot { token, at, end: self.at })
    }

    fn token(&mut self) -> Result<Token> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        if let Some(text) = self.quoted()? {
            return Ok(Token::Text(text));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        let negated = first == '!' && self.rest()[1..].starts_with(|c: char| c.is_ascii_alphabetic());
        if first.is_alphabetic() || first == '_' || first == '$' || negated {
            return self.word();
        }
        let mark = MARKS.iter().find(|mark| self.rest().starts_with(**mark));
        let Some(mark) = mark else {
            return Err(self.fault(format!("The character '{}' has no meaning in a query.", first.escape_default())));
        };
        self.at += mark.len();
        Ok(Token::Mark(mark))
    }

    fn word(&mut self) -> Result<Token> {
        let rest = self.rest();
        let body = |c: char| c.is_alphanumeric() || c == '_';
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let mut length = first + rest[first..].find(|c: char| !body(c)).unwrap_or(rest.len() - first);
        if matches!(&rest[..length], "in" | "!in") && rest[length..].starts_with('~') {
            length += 1;
        }
        let word = rest[..length].to_owned();
        self.at += length;
        if LITERALS.contains(&word.as_str()) && self.rest().trim_start().starts_with('(') {
            return self.literal(&word);
        }
        Ok(match word.as_str() {
            "true" | "True" => Token::Literal(Value::Bool(true)),
            "false" | "False" => Token::Literal(Value::Bool(false)),
            "null" => Token::Literal(Value::Null),
            _ => Token::Word(word),
        })
    }

    /// `datetime(2026-01-31)` and its like.
    fn literal(&mut self, word: &str) -> Result<Token> {
        let start = self.at;
        self.at += self.rest().find('(').unwrap_or(0) + 1;
        let Some(length) = closing(self.rest()) else {
            return Err(self.fault(format!("The literal '{word}(' is not closed by ')'.")));
        };
        let inner = self.rest()[..length].trim().to_owned();
        let bare = inner.trim_matches(['"', '\'']);
        let value = match word {
            _ if bare == "null" || bare.is_empty() => Some(Value::Null),
            "datetime" | "date" => times::parse_datetime(bare).map(Value::DateTime),
            "timespan" | "time" => times::parse_timespan(bare).map(Value::TimeSpan),
            "dynamic" => json(&inner),
            "bool" | "boolean" => match bare.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(Value::Bool(true)),
                "false" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            "int" | "long" => bare.parse().ok().map(Value::Long),
            "guid" => Some(Value::made(bare.to_ascii_lowercase())),
            _ => bare.parse().ok().map(Value::Real),
        };
        let Some(value) = value else {
            // `int(x)` and its like: of an expression, which Kusto writes as toint(x).
            self.at = start;
            return Err(self.fault(format!("'{word}({inner})' is no literal; to convert a value write to{word}(...).")));
        };
        self.at += length + 1;
        Ok(Token::Literal(value))
    }

    fn number(&mut self) -> Result<Token> {
        let rest = self.rest();
        let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        if let Some(digits) = hexadecimal {
            let length = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            let number = i64::from_str_radix(&digits[..length], 16);
            let number = number.map_err(|_| self.fault("This is no whole number of 64 bits."))?;
            self.at += length + 2;
            return Ok(Token::Literal(Value::Long(number)));
        }
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut length = digits(rest);
        let mut real = false;
        // `1..2` is a range, `1.5` a number.
        if rest[length..].starts_with('.') && rest[length + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            length += 1 + digits(&rest[length + 1..]);
            real = true;
        }
        if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let power = digits(&exponent[sign..]);
            if power > 0 {
                length += 1 + sign + power;
                real = true;
            }
        }
        let number = rest[..length].to_owned();
        let word_length = rest[length..].find(|c: char| !c.is_alphanumeric() && c != '_');
        let word = rest[length..][..word_length.unwrap_or(rest.len() - length)].to_owned();
        let value = match (word.as_str(), times::unit(&word)) {
            ("", _) if real => number.parse().ok().map(Value::Real),
            ("", _) => number.parse().ok().map(Value::Long),
            (_, Some(unit)) => number.parse().ok().and_then(|count| times::span(count, unit)).map(Value::TimeSpan),
            _ => None,
        };
        let value = value.ok_or_else(|| {
            self.fault(format!("'{number}{word}' is no number, and no span of time such as 1d, 2h, 30m, 10s, 100ms."))
        })?;
        self.at += length + word.len();
        Ok(Token::Literal(value))
    }

    /// Text in quotes, `@` before it takes backslashes as they are, `h` hides it from logs of Kusto's.
    fn quoted(&mut self) -> Result<Option<String>> {
        let rest = self.rest();
        let prefix = ["h@", "H@", "@", "h", "H", ""]
            .into_iter()
            .find(|prefix| rest.strip_prefix(prefix).is_some_and(|behind| behind.starts_with(['"', '\''])));
        let Some(prefix) = prefix else { return Ok(None) };
        let verbatim = prefix.ends_with('@');
        let body = &rest[prefix.len()..];
        let quote = body.chars().next().unwrap_or('"');
        let mut made = String::new();
        let mut letters = body.char_indices().skip(1);
        while let Some((offset, letter)) = letters.next() {
            if letter == quote {
                let doubled = verbatim && body[offset + 1..].starts_with(quote);
                if doubled {
                    made.push(quote);
                    letters.next();
                    continue;
                }
                self.at += prefix.len() + offset + 1;
                return Ok(Some(made));
            }
            if letter == '\n' {
                break;
            }
            match letter {
                '\\' if !verbatim => match escaped(&mut letters) {
                    Some(letter) => made.push(letter),
                    None => return Err(self.fault("A backslash in this text is followed by what it cannot escape.")),
                },
                letter => made.push(letter),
            }
        }
        Err(self.fault(format!("This text has no closing quote ({quote}).")))
    }
}

fn escaped(letters: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let letter = letters.next()?.1;
    Some(match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        'u' => {
            let digits: String = letters.take(4).map(|(_, digit)| digit).collect();
            char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
        }
        '\\' | '"' | '\'' | '`' | '/' | '$' => letter,
        _ => return None,
    })
}

/// Offset of the `)` that closes what is open, quotes apart.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0usize, None);
    let mut letters = text.char_indices();
    while let Some((offset, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return Some(offset),
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// JSON; texts may stand in single quotes.
fn json(text: &str) -> Option<Value<'static>> {
    let value = serde_json::from_str::<serde_json::Value>(text);
    let value = value.or_else(|_| serde_json::from_str(&text.replace('\'', "\"")));
    Some(Value::of_json(&value.ok()?))
}
