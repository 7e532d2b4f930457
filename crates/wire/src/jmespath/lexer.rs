//! Text to tokens.

use serde_json::Value;

use super::ParseError;
use super::ast::Comparator;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Identifier(String),
    Quoted(String),
    Literal(Value),
    Number(i64),
    Star,
    Dot,
    LeftBracket,
    /// `[?`
    Filter,
    /// `[]`
    Flatten,
    RightBracket,
    LeftBrace,
    RightBrace,
    LeftParenthesis,
    RightParenthesis,
    Comma,
    Colon,
    Current,
    Ampersand,
    And,
    Or,
    Pipe,
    Not,
    Compare(Comparator),
    End,
}

/// Cuts `text` into tokens with their byte offsets; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.at;
        let token = lexer.token()?;
        let ended = token == Token::End;
        tokens.push((token, start));
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Takes `text` if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes the longest run of characters that `belongs` accepts.
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Token::End);
        };
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(Token::Identifier(name.to_owned()));
        }
        if first.is_ascii_digit() || first == '-' {
            return self.number(start);
        }
        match first {
            '"' => self.quoted(start),
            '\'' => Ok(Token::Literal(Value::String(self.delimited('\'')?.replace("\\'", "'")))),
            '`' => self.literal(start),
            _ => self.symbol(start, first),
        }
    }

    fn symbol(&mut self, start: usize, first: char) -> Result<Token, ParseError> {
        const SYMBOLS: [(&str, Token); 24] = [
            ("[?", Token::Filter),
            ("[]", Token::Flatten),
            ("[", Token::LeftBracket),
            ("]", Token::RightBracket),
            ("{", Token::LeftBrace),
            ("}", Token::RightBrace),
            ("(", Token::LeftParenthesis),
            (")", Token::RightParenthesis),
            ("*", Token::Star),
            (".", Token::Dot),
            (",", Token::Comma),
            (":", Token::Colon),
            ("@", Token::Current),
            ("&&", Token::And),
            ("&", Token::Ampersand),
            ("||", Token::Or),
            ("|", Token::Pipe),
            ("==", Token::Compare(Comparator::Equal)),
            ("!=", Token::Compare(Comparator::NotEqual)),
            ("<=", Token::Compare(Comparator::LessOrEqual)),
            (">=", Token::Compare(Comparator::GreaterOrEqual)),
            ("<", Token::Compare(Comparator::Less)),
            (">", Token::Compare(Comparator::Greater)),
            ("!", Token::Not),
        ];
        for (text, token) in SYMBOLS {
            if self.take(text) {
                return Ok(token);
            }
        }
        Err(error(format!("Unknown character '{first}'"), start))
    }

    fn number(&mut self, start: usize) -> Result<Token, ParseError> {
        let negative = self.take("-");
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(error("A '-' without a number".into(), start));
        }
        // Beyond 64 bits every index is out of range and every slice bound is the end.
        let size = digits.parse().unwrap_or(i64::MAX);
        Ok(Token::Number(if negative { -size } else { size }))
    }

    fn quoted(&mut self, start: usize) -> Result<Token, ParseError> {
        let inner = self.delimited('"')?;
        serde_json::from_str(&format!("\"{inner}\""))
            .map(Token::Quoted)
            .map_err(|_| error("Quoted identifier that is no JSON string".into(), start))
    }

    fn literal(&mut self, start: usize) -> Result<Token, ParseError> {
        let inner = self.delimited('`')?.replace("\\`", "`");
        // The old way to write a string, still common in az examples: `text` without quotes.
        let value = serde_json::from_str(&inner)
            .or_else(|_| serde_json::from_str(&format!("\"{}\"", inner.trim_start())).map(Value::String))
            .map_err(|_| error("Literal that is no JSON".into(), start))?;
        Ok(Token::Literal(value))
    }

    /// The raw text between two delimiters; a backslash keeps the next character from closing it.
    fn delimited(&mut self, delimiter: char) -> Result<&'a str, ParseError> {
        let start = self.at;
        let inner = &self.rest()[delimiter.len_utf8()..];
        let mut escaped = false;
        for (offset, c) in inner.char_indices() {
            if c == delimiter && !escaped {
                self.at = start + offset + 2 * delimiter.len_utf8();
                return Ok(&inner[..offset]);
            }
            escaped = c == '\\' && !escaped;
        }
        Err(error(format!("Unclosed {delimiter} delimiter"), start))
    }
}

/// A parse error.
pub(super) fn error(message: String, offset: usize) -> ParseError {
    ParseError { message, offset }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(text: &str) -> Token {
        tokens(text).unwrap().remove(0).0
    }

    #[test]
    fn literals_and_strings() {
        assert_eq!(first("`{\"a\": 1}`"), Token::Literal(json!({"a": 1})));
        assert_eq!(first("`foo`"), Token::Literal(json!("foo")));
        assert_eq!(first("` foo`"), Token::Literal(json!("foo")));
        assert_eq!(first(r#"`"a\`b"`"#), Token::Literal(json!("a`b")));
        assert_eq!(first(r"'it\'s \n'"), Token::Literal(json!(r"it's \n")));
        assert_eq!(first(r"'\\'"), Token::Literal(json!(r"\\")));
        assert_eq!(first("''"), Token::Literal(json!("")));
        assert_eq!(first(r#""a\"\u00e9""#), Token::Quoted("a\"é".into()));
    }

    #[test]
    fn offsets_are_in_bytes() {
        let found = tokens(" \"é\" . b").unwrap();
        assert_eq!(found.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [1, 6, 8, 9]);
    }

    #[test]
    fn numbers() {
        assert_eq!(first("-007"), Token::Number(-7));
        assert_eq!(first("99999999999999999999"), Token::Number(i64::MAX));
    }

    #[test]
    fn faults() {
        for bad in ["-", "#", "'a", "\"a", "`a", "\"\\x\"", "`\"a`", "a = b", "é", "'\\'"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }
}
