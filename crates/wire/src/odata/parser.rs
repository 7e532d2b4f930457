//! From the text of a filter to its tree.

use super::{Filter, Relation, Terms, refused};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{FILTER_DEPTH, FILTER_TERMS};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name, a number, a word.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// `(`, `)`, `,` or `:`.
    Sign(char),
}

pub(super) fn parse(text: &str, terms: &Terms) -> Result<Filter> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, terms, tokens, at: 0, depth: 0, count: 0, variables: Vec::new() };
    let filter = parser.either()?;
    match parser.next() {
        None => Ok(filter),
        Some(token) => Err(parser.unexpected(&token)),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            c if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            '(' | ')' | ',' | ':' => {
                tokens.push(Token::Sign(first));
                rest = &rest[1..];
            }
            '\'' => {
                let (value, behind) = quoted(&rest[1..]).ok_or_else(|| refused(text, "a quote is not closed"))?;
                tokens.push(Token::Text(value));
                rest = behind;
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                rest = &rest[end..];
            }
            other => return Err(refused(text, &format!("'{other}' is not expected"))),
        }
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./@+$".contains(c)
}

/// The text up to the closing quote, where two quotes are one, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('\'')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(behind) => {
                value.push('\'');
                rest = behind;
            }
            None => return Some((value, rest)),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    terms: &'a Terms,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    count: usize,
    /// The variables of the `any`s around, with the member that each stands for.
    variables: Vec<(String, &'static str)>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = matches!(self.tokens.get(self.at), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn takes(&mut self, sign: char) -> bool {
        let is = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(is);
        is
    }

    fn needs(&mut self, sign: char) -> Result<()> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(refused(self.text, &format!("'{sign}' is missing")))
    }

    fn ended(&self) -> Error {
        refused(self.text, "it ends where more is expected")
    }

    fn unexpected(&self, token: &Token) -> Error {
        let word = match token {
            Token::Word(word) | Token::Text(word) => word.clone(),
            Token::Sign(sign) => sign.to_string(),
        };
        refused(self.text, &format!("'{word}' is not expected"))
    }

    fn either(&mut self) -> Result<Filter> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH {
            return Err(refused(self.text, &format!("it is more than {FILTER_DEPTH} parentheses deep")));
        }
        let mut some = vec![self.all()?];
        while self.takes_word("or") {
            some.push(self.all()?);
        }
        self.depth -= 1;
        Ok(one_or(some, Filter::Or))
    }

    fn all(&mut self) -> Result<Filter> {
        let mut all = vec![self.term()?];
        while self.takes_word("and") {
            all.push(self.term()?);
        }
        Ok(one_or(all, Filter::And))
    }

    fn term(&mut self) -> Result<Filter> {
        self.count += 1;
        if self.count > FILTER_TERMS {
            return Err(refused(self.text, &format!("it has more than {FILTER_TERMS} terms")));
        }
        let mut negated = false;
        while self.takes_word("not") {
            negated = !negated;
        }
        let inner = match self.next().ok_or_else(|| self.ended())? {
            Token::Sign('(') => {
                let inner = self.either()?;
                self.needs(')')?;
                inner
            }
            Token::Word(name) if self.takes('(') => self.called(&name)?,
            Token::Word(name) => self.compared(&name)?,
            other => return Err(self.unexpected(&other)),
        };
        Ok(if negated { Filter::Not(Box::new(inner)) } else { inner })
    }

    /// `field eq 'text'`, `field ne 'text'` or `field in ('a', 'b')`.
    fn compared(&mut self, name: &str) -> Result<Filter> {
        if ["and", "or", "eq", "ne"].iter().any(|word| word.eq_ignore_ascii_case(name)) {
            return Err(self.unexpected(&Token::Word(name.to_owned())));
        }
        let field = self.field(name)?;
        let operator = match self.next().ok_or_else(|| self.ended())? {
            Token::Word(word) => word,
            other => return Err(self.unexpected(&other)),
        };
        let relation = match operator.to_ascii_lowercase().as_str() {
            "eq" => Relation::Equal,
            "ne" => Relation::Unequal,
            "in" => {
                let some = self.texts()?.into_iter().map(|text| Filter::Is(field, Relation::Equal, text)).collect();
                return Ok(one_or(some, Filter::Or));
            }
            _ => return Err(refused(self.text, &format!("the operator '{operator}' is not one of eq, ne and in"))),
        };
        let text = self.literal()?;
        Ok(Filter::Is(field, relation, text))
    }

    /// What follows `name(`: a function of a text, an `any`, or a function that stands by itself.
    fn called(&mut self, name: &str) -> Result<Filter> {
        let lower = name.to_ascii_lowercase();
        let relation = match lower.as_str() {
            "startswith" => Some(Relation::Starts),
            "endswith" => Some(Relation::Ends),
            "contains" | "substringof" => Some(Relation::Contains),
            _ => None,
        };
        if let Some(relation) = relation {
            let filter = self.text_function(name, relation, lower == "substringof")?;
            return self.compared_to_truth(filter);
        }
        if let Some(field) = lower.strip_suffix("/any") {
            return self.any(field);
        }
        let known = self.terms.marks.iter().copied().find(|mark| mark.eq_ignore_ascii_case(name));
        let mark = known.ok_or_else(|| self.unknown(name))?;
        if self.takes(')') {
            return Ok(Filter::Mark(mark, None));
        }
        let text = self.literal()?;
        if !self.takes(')') {
            return Err(refused(self.text, &format!("{mark} takes one text at most")));
        }
        Ok(Filter::Mark(mark, Some(text)))
    }

    fn text_function(&mut self, name: &str, relation: Relation, text_first: bool) -> Result<Filter> {
        let (first, comma) = (self.next(), self.takes(','));
        let (second, end) = (self.next(), self.takes(')'));
        let (field, text) = if text_first { (second, first) } else { (first, second) };
        let (Some(Token::Word(field)), Some(Token::Text(text)), true, true) = (field, text, comma, end) else {
            return Err(refused(self.text, &format!("{name} takes a member and a text in quotes")));
        };
        Ok(Filter::Is(self.field(&field)?, relation, text))
    }

    /// A function of a text may be compared to `true` or `false`.
    fn compared_to_truth(&mut self, filter: Filter) -> Result<Filter> {
        let equal = if self.takes_word("eq") {
            true
        } else if self.takes_word("ne") {
            false
        } else {
            return Ok(filter);
        };
        let truth = if self.takes_word("true") {
            true
        } else if self.takes_word("false") {
            false
        } else {
            return Err(refused(self.text, "a function is compared to true or false"));
        };
        Ok(if truth == equal { filter } else { Filter::Not(Box::new(filter)) })
    }

    /// `list/any(x: x eq 'text')`.
    fn any(&mut self, list: &str) -> Result<Filter> {
        let field = self.field(list)?;
        let Some(Token::Word(variable)) = self.next() else {
            return Err(refused(self.text, "any takes a name, ':' and a condition"));
        };
        self.needs(':')?;
        self.variables.push((variable, field));
        let inner = self.either()?;
        self.variables.pop();
        self.needs(')')?;
        Ok(Filter::Any(field, Box::new(inner)))
    }

    fn field(&self, name: &str) -> Result<&'static str> {
        if let Some((_, field)) = self.variables.iter().rev().find(|(variable, _)| variable == name) {
            return Ok(field);
        }
        if !self.variables.is_empty() {
            return Err(refused(self.text, &format!("'{name}' is not the name that any gives to its value")));
        }
        let known = self.terms.fields.iter().copied().find(|field| field.eq_ignore_ascii_case(name));
        known.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        let marks = self.terms.marks.iter().map(|mark| format!("{mark}()"));
        let known: Vec<String> = self.terms.fields.iter().map(|field| (*field).to_owned()).chain(marks).collect();
        refused(self.text, &format!("'{name}' is not known; there are {}", known.join(", ")))
    }

    fn literal(&mut self) -> Result<String> {
        match self.next().ok_or_else(|| self.ended())? {
            Token::Word(word) | Token::Text(word) => Ok(word),
            other => Err(self.unexpected(&other)),
        }
    }

    fn texts(&mut self) -> Result<Vec<String>> {
        self.needs('(')?;
        let mut texts = Vec::new();
        loop {
            match self.next() {
                Some(Token::Text(text)) => texts.push(text),
                _ => return Err(refused(self.text, "in takes texts in quotes between parentheses")),
            }
            self.count += 1;
            if self.count > FILTER_TERMS {
                return Err(refused(self.text, &format!("it has more than {FILTER_TERMS} terms")));
            }
            if !self.takes(',') {
                self.needs(')')?;
                return Ok(texts);
            }
        }
    }
}

fn one_or(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => many(filters),
    }
}
