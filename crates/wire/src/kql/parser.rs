//! Statements and operators.

use super::ast::{Expansion, Expr, JoinKind, Named, Operator, OperatorKind, Pattern, Pipe, Query, SortKey};
use super::lexer::{Spot, Token, tokens};
use super::value::Value;
use super::{Fault, FaultKind, Result};
use ferrohub_model::limits::{KQL_DEPTH, KQL_OPERATORS};

/// Operators that Kusto has and Resource Graph, or Ferrohub, has not.
const FOREIGN: &[&str] = &[
    "parse",
    "parse-where",
    "parse-kv",
    "evaluate",
    "render",
    "externaldata",
    "mv-apply",
    "make-series",
    "lookup",
    "sample",
    "sample-distinct",
    "search",
    "find",
    "fork",
    "facet",
    "invoke",
    "partition",
    "print",
    "range",
    "reduce",
    "scan",
    "serialize",
    "top-nested",
    "top-hitters",
    "as",
    "consume",
    "getschema",
    "datatable",
    "assert-schema",
    "graph-match",
    "make-graph",
    "graph-to-table",
    "macro-expand",
    "execute-and-cache",
    "project-by-names",
];

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Query> {
    let mut parser = Parser { text, spots: tokens(text)?, next: 0, depth: 0, operators: 0 };
    let mut lets = Vec::new();
    while parser.is_word("let") {
        parser.advance();
        let name = parser.name("a name behind 'let'")?;
        parser.mark("=")?;
        lets.push((name, parser.expr()?));
        parser.mark(";")?;
        if lets.len() > KQL_OPERATORS {
            return Err(Fault::limit(format!("The query has more than {KQL_OPERATORS} 'let' statements.")));
        }
    }
    let pipe = parser.pipe(true)?;
    while parser.eat(";") {}
    match parser.peek() {
        Token::End => Ok(Query { lets, pipe }),
        _ => Err(parser.expected("'|' or the end of the query")),
    }
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    spots: Vec<Spot>,
    next: usize,
    depth: usize,
    operators: usize,
}

impl Parser<'_> {
    pub(crate) fn peek(&self) -> &Token {
        &self.spots[self.next.min(self.spots.len() - 1)].token
    }

    pub(crate) fn ahead(&self, by: usize) -> &Token {
        &self.spots[(self.next + by).min(self.spots.len() - 1)].token
    }

    pub(crate) fn at(&self) -> usize {
        self.spots[self.next.min(self.spots.len() - 1)].at
    }

    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// Where the token before ended.
    fn end(&self) -> usize {
        self.spots[self.next.saturating_sub(1).min(self.spots.len() - 1)].end
    }

    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Token::Mark(found) if *found == mark)
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    pub(crate) fn eat(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        if found {
            self.advance();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn mark(&mut self, mark: &'static str) -> Result<()> {
        match self.eat(mark) {
            true => Ok(()),
            false => Err(self.expected(&format!("'{mark}'"))),
        }
    }

    /// The token as it is written.
    fn shown(&self) -> &str {
        let spot = &self.spots[self.next.min(self.spots.len() - 1)];
        match &self.text[spot.at..spot.end] {
            "" => "<EOF>",
            text => text,
        }
    }

    pub(crate) fn expected(&self, what: &str) -> Fault {
        let shown: String = self.shown().chars().take(60).collect();
        let message = format!("The query has '{shown}' where {what} is expected.");
        Fault::new(FaultKind::Syntax, message, self.at(), shown)
    }

    /// A name; `what` completes "where … is expected".
    pub(crate) fn name(&mut self, what: &str) -> Result<String> {
        let name = match (self.peek(), self.ahead(1), self.ahead(2)) {
            (Token::Word(name), ..) => name.clone(),
            (Token::Mark("["), Token::Text(name), Token::Mark("]")) => {
                let name = name.clone();
                self.next += 2;
                name
            }
            _ => return Err(self.expected(what)),
        };
        self.advance();
        Ok(name)
    }

    /// One level deeper; [`Parser::out`] goes back.
    pub(crate) fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > KQL_DEPTH {
            return Err(Fault::limit(format!("The query is nested more than {KQL_DEPTH} levels deep.")));
        }
        Ok(())
    }

    pub(crate) fn out(&mut self) {
        self.depth -= 1;
    }

    fn pipe(&mut self, outermost: bool) -> Result<Pipe> {
        self.deeper()?;
        let mut pipe = Pipe { table: None, operators: Vec::new() };
        // Without a table, the query begins with an operator: `where type =~ 'x'`.
        let begins_with_operator = outermost && self.begins_with_operator();
        if begins_with_operator {
            pipe.operators.push(self.operator()?);
        } else if self.eat("(") {
            pipe = self.pipe(false)?;
            self.mark(")")?;
        } else {
            let at = self.at();
            let table = self.name("a table or an operator")?;
            if self.is_mark("(") {
                let message = format!("There is no tabular function '{table}()'; a query begins with a table.");
                return Err(Fault::new(FaultKind::Unsupported, message, at, table));
            }
            pipe.table = Some((table, at));
        }
        while self.eat("|") {
            pipe.operators.push(self.operator()?);
        }
        self.out();
        Ok(pipe)
    }

    fn begins_with_operator(&self) -> bool {
        let Token::Word(word) = self.peek() else { return false };
        // A table stands alone or before a pipe.
        let alone = matches!(self.ahead(1), Token::End | Token::Mark("|" | ";"));
        let known = matches!(
            word.as_str(),
            "where"
                | "filter"
                | "project"
                | "extend"
                | "summarize"
                | "order"
                | "sort"
                | "top"
                | "take"
                | "limit"
                | "distinct"
                | "join"
                | "union"
                | "mv"
                | "mvexpand"
                | "count"
                | "search"
                | "find"
                | "print"
                | "range"
                | "externaldata"
                | "datatable"
                | "parse"
                | "evaluate"
        );
        known && (!alone || word == "count")
    }

    /// A word with the dashes in it, as in `project-away`.
    fn operator_word(&mut self) -> Result<(String, usize)> {
        let at = self.at();
        let mut word = self.name("an operator")?;
        while self.is_mark("-") && self.at() == self.end() {
            let Token::Word(more) = self.ahead(1) else { break };
            word = format!("{word}-{more}");
            self.next += 2;
        }
        Ok((word, at))
    }

    fn operator(&mut self) -> Result<Operator> {
        self.operators += 1;
        if self.operators > KQL_OPERATORS {
            return Err(Fault::limit(format!("The query has more than {KQL_OPERATORS} operators.")));
        }
        let (word, at) = self.operator_word()?;
        let kind = match word.as_str() {
            "where" | "filter" => OperatorKind::Where(self.expr()?),
            "project" => OperatorKind::Project(self.list(Self::named)?),
            "extend" => OperatorKind::Extend(self.list(Self::named)?),
            "project-away" => OperatorKind::ProjectAway(self.list(Self::pattern)?),
            "project-keep" => OperatorKind::ProjectKeep(self.list(Self::pattern)?),
            "project-reorder" => OperatorKind::ProjectReorder(self.list(Self::pattern)?),
            "project-rename" => OperatorKind::ProjectRename(self.list(Self::named)?),
            "summarize" => self.summarize()?,
            "order" | "sort" => {
                self.by()?;
                OperatorKind::Sort(self.list(Self::sort_key)?)
            }
            "top" => {
                let count = self.count()?;
                self.by()?;
                OperatorKind::Top(count, self.list(Self::sort_key)?)
            }
            "take" | "limit" => OperatorKind::Take(self.count()?),
            "count" => OperatorKind::Count,
            "distinct" => match self.eat("*") {
                true => OperatorKind::Distinct(Vec::new()),
                false => OperatorKind::Distinct(self.list(Self::named)?),
            },
            "join" => self.join()?,
            "union" => self.union()?,
            "mv-expand" | "mvexpand" => self.expand()?,
            _ => return Err(unsupported(&word, at)),
        };
        Ok(Operator { kind, at })
    }

    fn list<T>(&mut self, one: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut all = vec![one(self)?];
        while self.eat(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn by(&mut self) -> Result<()> {
        match self.eat_word("by") {
            true => Ok(()),
            false => Err(self.expected("'by'")),
        }
    }

    fn count(&mut self) -> Result<u64> {
        let count = match self.peek() {
            Token::Literal(Value::Long(count)) => u64::try_from(*count).ok(),
            _ => None,
        };
        let count = count.ok_or_else(|| self.expected("a number of rows"))?;
        self.advance();
        Ok(count)
    }

    fn named(&mut self) -> Result<Named> {
        let quoted = matches!((self.peek(), self.ahead(3)), (Token::Mark("["), Token::Mark("=")));
        let plain = matches!((self.peek(), self.ahead(1)), (Token::Word(_), Token::Mark("=")));
        let name = if quoted || plain {
            let name = self.name("a name")?;
            self.mark("=")?;
            Some(name)
        } else {
            None
        };
        Ok(Named { name, expr: self.expr()? })
    }

    fn pattern(&mut self) -> Result<Pattern> {
        let at = self.at();
        let mut text = String::new();
        loop {
            match (self.peek(), self.ahead(1), self.ahead(2)) {
                (Token::Word(word), ..) if text.is_empty() || self.at() == self.end() => text.push_str(word),
                (Token::Mark("*"), ..) if text.is_empty() || self.at() == self.end() => text.push('*'),
                (Token::Mark("["), Token::Text(name), Token::Mark("]")) if text.is_empty() => {
                    text.push_str(name);
                    self.next += 2;
                }
                _ => break,
            }
            self.advance();
        }
        if text.is_empty() {
            return Err(self.expected("a column"));
        }
        let order = match self.peek() {
            Token::Word(word) if word == "asc" => Some(false),
            Token::Word(word) if word == "desc" => Some(true),
            _ => None,
        };
        if order.is_some() {
            self.advance();
        }
        Ok(Pattern { text, at, order })
    }

    fn summarize(&mut self) -> Result<OperatorKind> {
        let aggregates = if self.is_word("by") { Vec::new() } else { self.list(Self::named)? };
        let by = if self.eat_word("by") { self.list(Self::named)? } else { Vec::new() };
        Ok(OperatorKind::Summarize { aggregates, by })
    }

    fn sort_key(&mut self) -> Result<SortKey> {
        let expr = self.expr()?;
        // Without a word, rows are sorted from the highest down.
        let descending = !self.eat_word("asc");
        if descending {
            self.eat_word("desc");
        }
        let mut nulls_first = !descending;
        if self.eat_word("nulls") {
            nulls_first = self.eat_word("first");
            if !nulls_first && !self.eat_word("last") {
                return Err(self.expected("'first' or 'last'"));
            }
        }
        Ok(SortKey { expr, descending, nulls_first })
    }

    fn join(&mut self) -> Result<OperatorKind> {
        let mut kind = JoinKind::InnerUnique;
        while matches!((self.peek(), self.ahead(1)), (Token::Word(_), Token::Mark("="))) {
            let hint = self.name("'kind'")?;
            self.advance();
            let at = self.at();
            let word = self.name("a kind of join")?;
            if hint == "kind" {
                kind = join_kind(&word, at)?;
            }
        }
        let right = match self.eat("(") {
            true => {
                let right = self.pipe(false)?;
                self.mark(")")?;
                right
            }
            false => {
                let at = self.at();
                Pipe { table: Some((self.name("a table in parentheses")?, at)), operators: Vec::new() }
            }
        };
        if !self.eat_word("on") {
            return Err(self.expected("'on'"));
        }
        Ok(OperatorKind::Join { kind, right, on: self.list(Self::expr)? })
    }

    fn union(&mut self) -> Result<OperatorKind> {
        while matches!((self.peek(), self.ahead(1)), (Token::Word(_), Token::Mark("="))) {
            let at = self.at();
            let hint = self.name("'kind'")?;
            self.advance();
            let word = self.name("a kind of union")?;
            if hint != "kind" || word != "outer" {
                let message = format!("A union with {hint}={word} is not supported; a union is kind=outer.");
                return Err(Fault::new(FaultKind::Unsupported, message, at, hint));
            }
        }
        let legs = self.list(|parser| match parser.eat("(") {
            true => {
                let leg = parser.pipe(false)?;
                parser.mark(")")?;
                Ok(leg)
            }
            false => {
                let at = parser.at();
                Ok(Pipe { table: Some((parser.name("a table")?, at)), operators: Vec::new() })
            }
        })?;
        Ok(OperatorKind::Union(legs))
    }

    fn expand(&mut self) -> Result<OperatorKind> {
        while matches!((self.peek(), self.ahead(1)), (Token::Word(word), Token::Mark("=")) if word == "kind" || word == "bagexpansion")
        {
            self.next += 2;
            let at = self.at();
            let word = self.name("'bag'")?;
            if word != "bag" {
                let message = format!("mv-expand kind={word} is not supported; a bag is expanded to bags.");
                return Err(Fault::new(FaultKind::Unsupported, message, at, word));
            }
        }
        let columns = self.list(|parser| {
            let named = parser.named()?;
            let to = if parser.eat_word("to") {
                if !parser.eat_word("typeof") {
                    return Err(parser.expected("'typeof'"));
                }
                parser.mark("(")?;
                let name = parser.name("a type")?;
                parser.mark(")")?;
                Some(name)
            } else {
                None
            };
            Ok(Expansion { named, to })
        })?;
        let limit = if self.eat_word("limit") { Some(self.count()?) } else { None };
        Ok(OperatorKind::Expand { columns, limit })
    }

    pub(crate) fn expr(&mut self) -> Result<Expr> {
        self.deeper()?;
        let expr = self.or()?;
        self.out();
        Ok(expr)
    }
}

fn join_kind(word: &str, at: usize) -> Result<JoinKind> {
    Ok(match word {
        "innerunique" => JoinKind::InnerUnique,
        "inner" => JoinKind::Inner,
        "leftouter" => JoinKind::LeftOuter,
        "rightouter" => JoinKind::RightOuter,
        "leftsemi" => JoinKind::LeftSemi,
        "rightsemi" => JoinKind::RightSemi,
        "leftanti" | "anti" | "leftantisemi" => JoinKind::LeftAnti,
        "rightanti" | "rightantisemi" => JoinKind::RightAnti,
        _ => {
            let message = format!(
                "A join of kind '{word}' is not supported; there are innerunique, inner, leftouter, rightouter, leftsemi, rightsemi, leftanti and rightanti."
            );
            return Err(Fault::new(FaultKind::Unsupported, message, at, word));
        }
    })
}

fn unsupported(word: &str, at: usize) -> Fault {
    let what = if FOREIGN.contains(&word) { "is not supported by Resource Graph here" } else { "is not known" };
    let message = format!(
        "The operator '{word}' {what}. There are where, project, project-away, project-keep, project-rename, project-reorder, extend, summarize, order by, top, take, count, distinct, join, union and mv-expand."
    );
    Fault::new(FaultKind::Unsupported, message, at, word)
}
