//! From a text to its words and signs.

use super::refused;
use ferrohub_model::error::Result;

/// What a text is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a word of the language.
    Word(String),
    /// A name between `[[` and `]]`, which is never a word of the language.
    Name(String),
    /// A text in quotes.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number, finite.
    Float(f64),
    /// A sign, such as `(` or `<=`.
    Sign(&'static str),
}

/// A token and the character at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// Longer ones first.
const SIGNS: &[&str] = &["!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."];

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens: Vec<Placed> = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let after_dot = tokens.last().is_some_and(|last| last.token == Token::Sign("."));
        let rest = &chars[at..];
        let (token, length) = if after_dot && rest.starts_with(&['[', '[']) {
            bracketed(rest, at)?
        } else if first == '\'' || first == '"' {
            quoted(rest, at)?
        } else if is_word(first) {
            word(rest, at, after_dot)?
        } else {
            sign(rest, at)?
        };
        tokens.push(Placed { token, at });
        at += length;
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn sign(rest: &[char], at: usize) -> Result<(Token, usize)> {
    let starts = |sign: &&&str| sign.chars().zip(rest).filter(|(one, other)| one == *other).count() == sign.len();
    match SIGNS.iter().find(starts) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err(refused(at, &format!("'{}' is not expected", shown(rest)))),
    }
}

/// A word or a number. Behind a dot everything is a name.
fn word(rest: &[char], at: usize, after_dot: bool) -> Result<(Token, usize)> {
    let end = |from: usize| rest[from..].iter().position(|c| !is_word(*c)).map_or(rest.len(), |count| from + count);
    let whole: String = rest[..end(0)].iter().collect();
    if after_dot || !rest[0].is_ascii_digit() {
        return Ok((Token::Word(whole.clone()), whole.chars().count()));
    }
    if let Some(digits) = whole.strip_prefix("0x").or_else(|| whole.strip_prefix("0X")) {
        let number = i64::from_str_radix(digits, 16).map_err(|_| no_number(&whole, at))?;
        return Ok((Token::Integer(number), whole.chars().count()));
    }
    let mut length = end(0);
    if rest.get(length) == Some(&'.') && rest.get(length + 1).is_some_and(char::is_ascii_digit) {
        length = end(length + 1);
    }
    let signed = matches!(rest.get(length - 1), Some('e' | 'E')) && matches!(rest.get(length), Some('+' | '-'));
    if signed {
        length = end(length + 1);
    }
    let text: String = rest[..length].iter().collect();
    if let Ok(number) = text.parse::<i64>() {
        return Ok((Token::Integer(number), length));
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(|number| (Token::Float(number), length)).ok_or_else(|| no_number(&text, at))
}

fn no_number(text: &str, at: usize) -> ferrohub_model::error::Error {
    refused(at, &format!("'{}' is no number", text.chars().take(40).collect::<String>()))
}

/// A text in single or double quotes: `\'`, `\"`, `\\`, `\/`, `\n`, `\r`, `\t`, `\uXXXX`, and a quote twice for one.
fn quoted(rest: &[char], at: usize) -> Result<(Token, usize)> {
    let quote = rest[0];
    let mut text = String::new();
    let mut next = 1;
    while let Some(&c) = rest.get(next) {
        match c {
            c if c == quote && rest.get(next + 1) == Some(&quote) => {
                text.push(quote);
                next += 2;
            }
            c if c == quote => return Ok((Token::Text(text), next + 1)),
            '\\' => {
                let (c, length) = escaped(&rest[next..], at + next)?;
                text.push(c);
                next += length;
            }
            c => {
                text.push(c);
                next += 1;
            }
        }
    }
    Err(refused(at, "a text begins whose quote is not closed"))
}

fn escaped(rest: &[char], at: usize) -> Result<(char, usize)> {
    let plain = match rest.get(1) {
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some(c @ ('\'' | '"' | '\\' | '/')) => *c,
        Some('u') => {
            let digits: String = rest.iter().skip(2).take(4).collect();
            let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
            let c = code.and_then(char::from_u32);
            return c.map(|c| (c, 6)).ok_or_else(|| refused(at, "'\\u' is followed by four hexadecimal digits"));
        }
        _ => return Err(refused(at, "a '\\' stands before ', \", \\, /, n, r, t or uXXXX only")),
    };
    Ok((plain, 2))
}

fn bracketed(rest: &[char], at: usize) -> Result<(Token, usize)> {
    let end = rest.windows(2).position(|pair| pair == [']', ']']);
    match end {
        Some(end) if end > 2 => Ok((Token::Name(rest[2..end].iter().collect()), end + 2)),
        Some(_) => Err(refused(at, "there is no name between '[[' and ']]'")),
        None => Err(refused(at, "a name begins with '[[' and does not end with ']]'")),
    }
}

/// The beginning of what is left, for a message.
fn shown(rest: &[char]) -> String {
    rest.iter().take(1).filter(|c| !c.is_control()).collect()
}
