//! Expressions, from `or` down to a literal.

use super::ast::{Expr, ExprKind};
use super::lexer::Token;
use super::parser::Parser;
use super::{Fault, FaultKind, Result};

/// Operators that are words, with their negation.
const WORDS: &[&str] = &[
    "contains",
    "!contains",
    "contains_cs",
    "!contains_cs",
    "has",
    "!has",
    "has_cs",
    "!has_cs",
    "has_any",
    "has_all",
    "hasprefix",
    "!hasprefix",
    "hasprefix_cs",
    "!hasprefix_cs",
    "hassuffix",
    "!hassuffix",
    "hassuffix_cs",
    "!hassuffix_cs",
    "startswith",
    "!startswith",
    "startswith_cs",
    "!startswith_cs",
    "endswith",
    "!endswith",
    "endswith_cs",
    "!endswith_cs",
];
const COMPARISONS: &[&str] = &["==", "!=", "<>", "=~", "!~", "<=", ">=", "<", ">"];

fn expr(kind: ExprKind, at: usize) -> Expr {
    Expr { kind, at }
}

impl Parser<'_> {
    pub(super) fn or(&mut self) -> Result<Expr> {
        self.chain("or", Self::and, ExprKind::Any)
    }

    fn and(&mut self) -> Result<Expr> {
        self.chain("and", Self::comparison, ExprKind::All)
    }

    /// `a and b and c` is one list, so that long ones are not deep.
    fn chain(
        &mut self,
        word: &'static str,
        below: fn(&mut Self) -> Result<Expr>,
        joined: fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr> {
        let first = below(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let at = self.at();
        let mut all = vec![first];
        while self.is_word(word) {
            self.advance();
            all.push(below(self)?);
        }
        Ok(expr(joined(all), at))
    }

    fn comparison(&mut self) -> Result<Expr> {
        let left = self.sum()?;
        let at = self.at();
        let word = match self.peek() {
            Token::Mark(mark) => COMPARISONS.iter().find(|known| *known == mark).copied(),
            Token::Word(word) => WORDS.iter().find(|known| *known == word).copied(),
            _ => None,
        };
        if let Some(word) = word {
            self.advance();
            let right = match word {
                "has_any" | "has_all" => self.set()?,
                _ => self.sum()?,
            };
            let word = if word == "<>" { "!=" } else { word };
            return Ok(expr(ExprKind::Binary(word, Box::new(left), Box::new(right)), at));
        }
        let Token::Word(word) = self.peek() else { return Ok(left) };
        match word.clone().as_str() {
            word @ ("in" | "!in" | "in~" | "!in~") => {
                self.advance();
                let (ignore_case, negated) = (word.ends_with('~'), word.starts_with('!'));
                let list = self.arguments()?;
                Ok(expr(ExprKind::In { value: Box::new(left), list, ignore_case, negated }, at))
            }
            word @ ("between" | "!between") => {
                self.advance();
                self.mark("(")?;
                let low = Box::new(self.expr()?);
                self.mark("..")?;
                let high = Box::new(self.expr()?);
                self.mark(")")?;
                let negated = word.starts_with('!');
                Ok(expr(ExprKind::Between { value: Box::new(left), low, high, negated }, at))
            }
            "matches" => {
                self.advance();
                if !self.is_word("regex") {
                    return Err(self.expected("'regex'"));
                }
                self.advance();
                let right = self.sum()?;
                Ok(expr(ExprKind::Binary("matches regex", Box::new(left), Box::new(right)), at))
            }
            word if word.starts_with('!') => {
                let message = format!("The operator '{word}' is not supported.");
                Err(Fault::new(FaultKind::Unsupported, message, at, word))
            }
            _ => Ok(left),
        }
    }

    /// The list of `has_any (…)`, as the arguments of a call.
    fn set(&mut self) -> Result<Expr> {
        let at = self.at();
        if !self.is_mark("(") {
            return self.sum();
        }
        Ok(expr(ExprKind::Call("pack_array".into(), self.arguments()?), at))
    }

    fn sum(&mut self) -> Result<Expr> {
        self.row(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Result<Expr> {
        self.row(&["*", "/", "%"], Self::unary)
    }

    /// Operators of one rank from left to right, each a level deeper than the one before it.
    fn row(&mut self, marks: &[&'static str], below: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let mut left = below(self)?;
        let mut links = 0;
        while let Some(mark) = marks.iter().copied().find(|mark| self.is_mark(mark)) {
            let at = self.at();
            self.advance();
            self.deeper()?;
            links += 1;
            let right = below(self)?;
            left = expr(ExprKind::Binary(mark, Box::new(left), Box::new(right)), at);
        }
        (0..links).for_each(|_| self.out());
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr> {
        let at = self.at();
        if self.eat("+") {
            return self.nested(Self::unary);
        }
        if self.eat("-") {
            let inner = self.nested(Self::unary)?;
            return Ok(expr(ExprKind::Minus(Box::new(inner)), at));
        }
        self.postfix()
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        self.deeper()?;
        let inner = inner(self)?;
        self.out();
        Ok(inner)
    }

    fn postfix(&mut self) -> Result<Expr> {
        let mut value = self.primary()?;
        let mut links = 0;
        loop {
            let at = self.at();
            if self.eat(".") {
                // `a.['b']` is the same as `a['b']`.
                value = match self.is_mark("[") {
                    true => self.index(value)?,
                    false => expr(ExprKind::Member(Box::new(value), self.name("a member")?), at),
                };
            } else if self.is_mark("[") {
                value = self.index(value)?;
            } else {
                (0..links).for_each(|_| self.out());
                return Ok(value);
            }
            self.deeper()?;
            links += 1;
        }
    }

    fn index(&mut self, value: Expr) -> Result<Expr> {
        let at = self.at();
        self.mark("[")?;
        let index = self.expr()?;
        self.mark("]")?;
        Ok(expr(ExprKind::Index(Box::new(value), Box::new(index)), at))
    }

    fn primary(&mut self) -> Result<Expr> {
        let at = self.at();
        match self.peek().clone() {
            Token::Literal(value) => {
                self.advance();
                Ok(expr(ExprKind::Literal(value), at))
            }
            Token::Text(text) => {
                self.advance();
                Ok(expr(ExprKind::Literal(super::Value::made(text)), at))
            }
            Token::Mark("*") => {
                self.advance();
                Ok(expr(ExprKind::Star, at))
            }
            Token::Mark("(") => {
                self.advance();
                let inner = self.expr()?;
                self.mark(")")?;
                Ok(inner)
            }
            Token::Mark("[") => Ok(expr(ExprKind::Name(self.name("a column, as in ['name']")?), at)),
            Token::Word(word) => {
                self.advance();
                match self.is_mark("(") {
                    true => Ok(expr(ExprKind::Call(word, self.arguments()?), at)),
                    false => Ok(expr(ExprKind::Name(word), at)),
                }
            }
            Token::Mark(_) | Token::End => Err(self.expected("a value")),
        }
    }

    fn arguments(&mut self) -> Result<Vec<Expr>> {
        self.mark("(")?;
        let mut all = Vec::new();
        while !self.is_mark(")") {
            // `pack('a', 1)` and its like; a name before `=` is a named argument, which nothing here has.
            all.push(self.expr()?);
            if !self.eat(",") {
                break;
            }
        }
        self.mark(")")?;
        Ok(all)
    }
}
