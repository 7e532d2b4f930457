//! From words and signs to the tree; names are not looked at yet.

use super::functions;
use super::lexer::{Placed, Token, tokens};
use super::refused;
use super::tree::{Aggregate, Expression, Literal, Operator, Source, Step};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{HUB_QUERY_DEPTH, HUB_QUERY_TERMS};

/// A query as it is written.
pub(super) struct Written {
    pub(super) top: Option<u64>,
    /// `None` for `*`.
    pub(super) items: Option<Vec<WrittenItem>>,
    pub(super) source: Source,
    pub(super) alias: Option<String>,
    pub(super) condition: Option<Expression>,
    pub(super) groups: Vec<(Expression, usize)>,
    /// Expression, whether descending, position.
    pub(super) order: Vec<(Expression, bool, usize)>,
}

/// An entry of the list after `SELECT`.
pub(super) struct WrittenItem {
    pub(super) aggregate: Option<Aggregate>,
    pub(super) value: Option<Expression>,
    pub(super) alias: Option<String>,
    pub(super) at: usize,
}

/// Words that no name is, unless it stands behind a dot.
const RESERVED: &[&str] =
    &["SELECT", "TOP", "FROM", "WHERE", "GROUP", "ORDER", "BY", "AND", "OR", "NOT", "IN", "NIN", "AS", "ASC", "DESC"];

const AGGREGATES: &[(&str, Aggregate)] = &[
    ("COUNT", Aggregate::Count),
    ("AVG", Aggregate::Average),
    ("SUM", Aggregate::Sum),
    ("MIN", Aggregate::Least),
    ("MAX", Aggregate::Greatest),
];

pub(super) fn parse(text: &str) -> Result<Written> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.chars().count(), depth: 0, terms: 0 };
    let written = parser.query()?;
    match parser.peek() {
        None => Ok(written),
        Some(_) => Err(parser.wrong("the end of the query, WHERE, GROUP BY or ORDER BY")),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    /// Characters of the text.
    end: usize,
    depth: usize,
    terms: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Written> {
        self.needs_word("SELECT")?;
        let top = if self.takes_word("TOP") { Some(self.count()?) } else { None };
        let items = if self.takes("*") { None } else { Some(self.list(Self::item)?) };
        self.needs_word("FROM")?;
        let source = self.source()?;
        let named = self.takes_word("AS");
        let alias = match self.peek() {
            Some(Token::Word(word)) if named || !is_reserved(word) => Some(word.clone()),
            _ if named => return Err(self.wrong("a name")),
            _ => None,
        };
        self.at += usize::from(alias.is_some());
        let condition = if self.takes_word("WHERE") { Some(self.expression()?) } else { None };
        let mut groups = Vec::new();
        if self.takes_word("GROUP") {
            self.needs_word("BY")?;
            groups = self.list(|parser| {
                let at = parser.position();
                Ok((parser.expression()?, at))
            })?;
        }
        let mut order = Vec::new();
        if self.takes_word("ORDER") {
            self.needs_word("BY")?;
            order = self.list(Self::order)?;
        }
        Ok(Written { top, items, source, alias, condition, groups, order })
    }

    fn count(&mut self) -> Result<u64> {
        match self.peek() {
            Some(Token::Integer(number)) if *number >= 0 => {
                let number = number.unsigned_abs();
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.wrong("a number of results after TOP")),
        }
    }

    fn source(&mut self) -> Result<Source> {
        let at = self.position();
        let mut parts = Vec::new();
        loop {
            match self.next() {
                Some(Token::Word(word)) => parts.push(word.to_ascii_lowercase()),
                _ => return Err(refused(at, "'devices', 'devices.modules' or 'devices.jobs' is expected after FROM")),
            }
            if !self.takes(".") {
                break;
            }
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["devices"] => Ok(Source::Devices),
            ["devices", "modules"] => Ok(Source::Modules),
            ["devices", "jobs"] => Ok(Source::Jobs),
            _ => Err(refused(at, "a hub has 'devices', 'devices.modules' and 'devices.jobs' to query")),
        }
    }

    fn item(&mut self) -> Result<WrittenItem> {
        let at = self.position();
        let aggregate = match (self.peek(), self.tokens.get(self.at + 1).map(|placed| &placed.token)) {
            (Some(Token::Word(word)), Some(Token::Sign("("))) => aggregate(word),
            _ => None,
        };
        let value = match aggregate {
            None => Some(self.expression()?),
            Some(aggregate) => {
                self.at += 2;
                self.aggregated(aggregate)?
            }
        };
        let alias = if self.takes_word("AS") { Some(self.name()?) } else { None };
        Ok(WrittenItem { aggregate, value, alias, at })
    }

    /// What stands in the parentheses of an aggregate.
    fn aggregated(&mut self, aggregate: Aggregate) -> Result<Option<Expression>> {
        let counts = aggregate == Aggregate::Count;
        let value = if counts && (self.takes("*") || self.peek() == Some(&Token::Sign(")"))) {
            None
        } else {
            Some(self.expression()?)
        };
        self.needs(")")?;
        Ok(value)
    }

    fn name(&mut self) -> Result<String> {
        match self.next() {
            Some(Token::Word(word) | Token::Name(word) | Token::Text(word)) if !word.is_empty() => Ok(word),
            _ => {
                self.at -= 1;
                Err(self.wrong("a name after AS"))
            }
        }
    }

    fn order(&mut self) -> Result<(Expression, bool, usize)> {
        let at = self.position();
        let by = self.expression()?;
        let descending = self.takes_word("DESC");
        if !descending {
            self.takes_word("ASC");
        }
        Ok((by, descending, at))
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut all = vec![one(self)?];
        while self.takes(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// An expression; the depth counts what stands in one another.
    fn expression(&mut self) -> Result<Expression> {
        self.deeper(Self::either)
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Result<Expression>) -> Result<Expression> {
        self.depth += 1;
        if self.depth > HUB_QUERY_DEPTH {
            return Err(refused(self.position(), &format!("it is nested deeper than {HUB_QUERY_DEPTH} levels")));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn either(&mut self) -> Result<Expression> {
        let mut all = vec![self.both()?];
        while self.takes_word("OR") {
            all.push(self.both()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::Or(all) })
    }

    fn both(&mut self) -> Result<Expression> {
        let mut all = vec![self.negated()?];
        while self.takes_word("AND") {
            all.push(self.negated()?);
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::And(all) })
    }

    fn negated(&mut self) -> Result<Expression> {
        if self.takes_word("NOT") {
            return Ok(Expression::Not(Box::new(self.deeper(Self::negated)?)));
        }
        self.compared()
    }

    fn compared(&mut self) -> Result<Expression> {
        let left = self.sum()?;
        let negated = self.is_word(0, "NOT") && self.is_word(1, "IN");
        self.at += usize::from(negated);
        if self.takes_word("IN") {
            return Ok(Expression::In(Box::new(left), self.members()?, !negated));
        }
        if self.takes_word("NIN") {
            return Ok(Expression::In(Box::new(left), self.members()?, false));
        }
        let operator = match self.peek() {
            Some(Token::Sign("=")) => Operator::Equal,
            Some(Token::Sign("!=" | "<>")) => Operator::Unequal,
            Some(Token::Sign("<")) => Operator::Less,
            Some(Token::Sign("<=")) => Operator::AtMost,
            Some(Token::Sign(">")) => Operator::Greater,
            Some(Token::Sign(">=")) => Operator::AtLeast,
            _ => return Ok(left),
        };
        self.at += 1;
        Ok(Expression::Binary(operator, Box::new(left), Box::new(self.sum()?)))
    }

    /// The list after `IN`, in brackets or parentheses.
    fn members(&mut self) -> Result<Vec<Expression>> {
        let close = if self.takes("[") {
            "]"
        } else if self.takes("(") {
            ")"
        } else {
            return Err(self.wrong("a list in '[' and ']'"));
        };
        let all = self.list(Self::expression)?;
        self.needs(close)?;
        Ok(all)
    }

    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign("+")) => Operator::Plus,
                Some(Token::Sign("-")) => Operator::Minus,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign("*")) => Operator::Times,
                Some(Token::Sign("/")) => Operator::Over,
                Some(Token::Sign("%")) => Operator::Modulo,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Binary(operator, Box::new(left), Box::new(self.signed()?));
        }
    }

    fn signed(&mut self) -> Result<Expression> {
        if self.takes("-") {
            return Ok(Expression::Negative(Box::new(self.deeper(Self::signed)?)));
        }
        if self.takes("+") {
            return self.deeper(Self::signed);
        }
        self.value()
    }

    fn value(&mut self) -> Result<Expression> {
        self.terms += 1;
        if self.terms > HUB_QUERY_TERMS {
            return Err(refused(self.position(), &format!("it has more than {HUB_QUERY_TERMS} terms")));
        }
        let at = self.position();
        match self.next() {
            Some(Token::Text(text)) => Ok(Expression::Literal(Literal::Text(text))),
            Some(Token::Integer(number)) => Ok(Expression::Literal(Literal::Integer(number))),
            Some(Token::Float(number)) => Ok(Expression::Literal(Literal::Float(number))),
            Some(Token::Sign("(")) => {
                let inner = self.expression()?;
                self.needs(")")?;
                Ok(inner)
            }
            Some(Token::Sign("[")) => {
                let items =
                    if self.peek() == Some(&Token::Sign("]")) { Vec::new() } else { self.list(Self::expression)? };
                self.needs("]")?;
                Ok(Expression::List(items))
            }
            Some(Token::Word(word)) if self.peek() == Some(&Token::Sign("(")) && !is_reserved(&word) => {
                self.call(&word, at)
            }
            Some(Token::Word(word)) if !is_reserved(&word) => match literal(&word) {
                Some(literal) if self.peek() != Some(&Token::Sign(".")) => Ok(Expression::Literal(literal)),
                _ => self.path(word),
            },
            _ => {
                self.at -= 1;
                Err(self.wrong("a value"))
            }
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Expression> {
        if aggregate(name).is_some() {
            let why = format!("{} stands by itself in the list after SELECT only", name.to_ascii_uppercase());
            return Err(refused(at, &why));
        }
        let Some((function, least, most)) = functions::named(name) else {
            let shown: String = name.chars().take(40).collect();
            return Err(refused(at, &format!("there is no function '{shown}'; there are {}", functions::names())));
        };
        self.needs("(")?;
        let none = self.peek() == Some(&Token::Sign(")"));
        let arguments = if none { Vec::new() } else { self.list(Self::expression)? };
        self.needs(")")?;
        if !(least..=most).contains(&arguments.len()) {
            let wanted = if least == most { format!("{least}") } else { format!("{least} to {most}") };
            let name = name.to_ascii_uppercase();
            return Err(refused(at, &format!("{name} takes {wanted} arguments and has {}", arguments.len())));
        }
        Ok(Expression::Call(function, arguments))
    }

    fn path(&mut self, first: String) -> Result<Expression> {
        let mut steps = vec![Step::Name(first)];
        loop {
            if self.takes(".") {
                match self.next() {
                    Some(Token::Word(name) | Token::Name(name)) => steps.push(Step::Name(name)),
                    _ => {
                        self.at -= 1;
                        return Err(self.wrong("the name of a member after '.'"));
                    }
                }
            } else if self.takes("[") {
                match self.next() {
                    Some(Token::Integer(index)) => match usize::try_from(index) {
                        Ok(index) => steps.push(Step::Index(index)),
                        Err(_) => return Err(self.wrong("an index from 0")),
                    },
                    Some(Token::Text(name)) => steps.push(Step::Name(name)),
                    _ => {
                        self.at -= 1;
                        return Err(self.wrong("an index or a name in quotes"));
                    }
                }
                self.needs("]")?;
            } else {
                break;
            }
            self.terms += 1;
            if self.terms > HUB_QUERY_TERMS {
                return Err(refused(self.position(), &format!("it has more than {HUB_QUERY_TERMS} terms")));
            }
        }
        Ok(Expression::Path(steps))
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    /// The next token; `at` is behind it, also behind the end.
    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |placed| placed.at)
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let token = self.tokens.get(self.at + ahead).map(|placed| &placed.token);
        matches!(token, Some(Token::Word(next)) if next.eq_ignore_ascii_case(word))
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = self.is_word(0, word);
        self.at += usize::from(is);
        is
    }

    fn needs_word(&mut self, word: &str) -> Result<()> {
        if self.takes_word(word) { Ok(()) } else { Err(self.wrong(word)) }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(is);
        is
    }

    fn needs(&mut self, sign: &str) -> Result<()> {
        if self.takes(sign) { Ok(()) } else { Err(self.wrong(&format!("'{sign}'"))) }
    }

    fn wrong(&self, wanted: &str) -> Error {
        let found = match self.peek() {
            None => return refused(self.end, &format!("it ends where {wanted} is expected")),
            Some(Token::Word(text) | Token::Name(text) | Token::Text(text)) => text.clone(),
            Some(Token::Integer(number)) => number.to_string(),
            Some(Token::Float(number)) => number.to_string(),
            Some(Token::Sign(sign)) => (*sign).to_owned(),
        };
        let found: String = found.chars().filter(|c| !c.is_control()).take(40).collect();
        refused(self.position(), &format!("'{found}' stands where {wanted} is expected"))
    }
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

fn aggregate(word: &str) -> Option<Aggregate> {
    AGGREGATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, aggregate)| *aggregate)
}

fn literal(word: &str) -> Option<Literal> {
    match word.to_ascii_lowercase().as_str() {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        "null" => Some(Literal::Null),
        "undefined" => Some(Literal::Undefined),
        _ => None,
    }
}
