//! Tokens to a tree, by binding powers.

use ferrohub_model::limits::{JMESPATH_BYTES, JMESPATH_DEPTH};

use super::ParseError;
use super::ast::{Argument, Node};
use super::lexer::{Token, error, tokens};

/// Operators that bind less than this end a projection.
const PROJECTION_STOP: u8 = 10;
const FLATTEN: u8 = 9;
const STAR: u8 = 20;
const FILTER: u8 = 21;
const DOT: u8 = 40;
const NOT: u8 = 45;
const BRACKET: u8 = 55;

/// Parses a whole expression.
pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > JMESPATH_BYTES {
        return Err(error(format!("Expression over {JMESPATH_BYTES} bytes"), JMESPATH_BYTES));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, nesting: 0 };
    let tree = parser.expression(0)?;
    parser.expect(&Token::End)?;
    Ok(tree.node)
}

/// How tightly a token that follows an expression binds to it; 0 ends the expression.
fn binding_power(token: &Token) -> u8 {
    match token {
        Token::Pipe => 1,
        Token::Or => 2,
        Token::And => 3,
        Token::Compare(_) => 5,
        Token::Flatten => FLATTEN,
        Token::Filter => FILTER,
        Token::Dot => DOT,
        Token::LeftBracket => BRACKET,
        _ => 0,
    }
}

/// A node with the depth of its tree: the evaluator and `drop` recurse that deep.
struct Tree {
    node: Node,
    depth: usize,
}

impl Tree {
    fn leaf(node: Node) -> Self {
        Self { node, depth: 1 }
    }

    fn identity() -> Self {
        Self::leaf(Node::Identity)
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    nesting: usize,
}

impl Parser {
    /// The token `ahead` of the next one; beyond the end it is the end.
    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |(token, _)| token)
    }

    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn offset(&self) -> usize {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.min(last)).map_or(0, |(_, offset)| *offset)
    }

    fn unexpected(&self) -> ParseError {
        let text = match self.peek() {
            Token::End => "Unexpected end of the expression".to_owned(),
            other => format!("Unexpected token {other:?}"),
        };
        error(text, self.offset())
    }

    fn expect(&mut self, token: &Token) -> Result<(), ParseError> {
        if self.peek() != token {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn too_deep(&self) -> ParseError {
        error(format!("Expression nested over {JMESPATH_DEPTH} levels"), self.offset())
    }

    /// A node over children of the given depth.
    fn grow(&self, node: Node, depth: usize) -> Result<Tree, ParseError> {
        if depth >= JMESPATH_DEPTH {
            return Err(self.too_deep());
        }
        Ok(Tree { node, depth: depth + 1 })
    }

    fn pair(&self, make: impl Fn(Box<Node>, Box<Node>) -> Node, left: Tree, right: Tree) -> Result<Tree, ParseError> {
        let depth = left.depth.max(right.depth);
        self.grow(make(Box::new(left.node), Box::new(right.node)), depth)
    }

    fn expression(&mut self, minimum: u8) -> Result<Tree, ParseError> {
        self.nesting += 1;
        if self.nesting > JMESPATH_DEPTH {
            return Err(self.too_deep());
        }
        let mut left = self.prefix()?;
        while minimum < binding_power(self.peek()) {
            left = self.infix(left)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// What stands at the start of an expression.
    fn prefix(&mut self) -> Result<Tree, ParseError> {
        match self.peek() {
            Token::Identifier(_) | Token::Quoted(_) => self.name(),
            Token::Literal(value) => {
                let node = Node::Literal(value.clone());
                self.at += 1;
                Ok(Tree::leaf(node))
            }
            Token::Current => {
                self.at += 1;
                Ok(Tree::identity())
            }
            Token::Star => {
                self.at += 1;
                let right = self.projected(STAR)?;
                self.pair(Node::ValueProjection, Tree::identity(), right)
            }
            Token::Not => {
                self.at += 1;
                let inner = self.expression(NOT)?;
                self.grow(Node::Not(Box::new(inner.node)), inner.depth)
            }
            Token::LeftParenthesis => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.expect(&Token::RightParenthesis)?;
                Ok(inner)
            }
            Token::LeftBrace => {
                self.at += 1;
                self.hash()
            }
            Token::Filter | Token::Flatten => self.infix(Tree::identity()),
            Token::LeftBracket => match (self.peek_at(1), self.peek_at(2)) {
                (Token::Number(_) | Token::Colon, _) | (Token::Star, Token::RightBracket) => {
                    self.infix(Tree::identity())
                }
                _ => {
                    self.at += 1;
                    self.list()
                }
            },
            _ => Err(self.unexpected()),
        }
    }

    fn name(&mut self) -> Result<Tree, ParseError> {
        let called = *self.peek_at(1) == Token::LeftParenthesis;
        match self.next() {
            Token::Identifier(name) if called => self.call(name),
            Token::Quoted(_) if called => {
                Err(error("Quoted identifier not allowed for function names".into(), self.offset()))
            }
            Token::Identifier(name) | Token::Quoted(name) => Ok(Tree::leaf(Node::Field(name))),
            _ => Err(self.unexpected()),
        }
    }

    /// What follows an expression and takes it as its left side.
    fn infix(&mut self, left: Tree) -> Result<Tree, ParseError> {
        match self.next() {
            Token::Pipe => {
                let right = self.expression(1)?;
                self.pair(Node::Then, left, right)
            }
            Token::Or => {
                let right = self.expression(2)?;
                self.pair(Node::Or, left, right)
            }
            Token::And => {
                let right = self.expression(3)?;
                self.pair(Node::And, left, right)
            }
            Token::Compare(comparator) => {
                let right = self.expression(5)?;
                self.pair(|left, right| Node::Compare { comparator, left, right }, left, right)
            }
            Token::Flatten => {
                let flat = self.grow(Node::Flatten(Box::new(left.node)), left.depth)?;
                let right = self.projected(FLATTEN)?;
                self.pair(Node::Projection, flat, right)
            }
            Token::Filter => self.filter(left),
            Token::Dot if *self.peek() == Token::Star => {
                self.at += 1;
                let right = self.projected(DOT)?;
                self.pair(Node::ValueProjection, left, right)
            }
            Token::Dot => {
                let right = self.after_dot(DOT)?;
                self.pair(Node::Then, left, right)
            }
            Token::LeftBracket => self.bracket(left),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// After `left[?`.
    fn filter(&mut self, left: Tree) -> Result<Tree, ParseError> {
        let condition = self.expression(0)?;
        self.expect(&Token::RightBracket)?;
        let right = self.projected(FILTER)?;
        let depth = left.depth.max(condition.depth).max(right.depth);
        let node = Node::FilterProjection {
            left: Box::new(left.node),
            condition: Box::new(condition.node),
            right: Box::new(right.node),
        };
        self.grow(node, depth)
    }

    /// After `left[`: an index, a slice or `*]`.
    fn bracket(&mut self, left: Tree) -> Result<Tree, ParseError> {
        match (self.peek(), self.peek_at(1)) {
            (Token::Star, _) => {
                self.at += 1;
                self.expect(&Token::RightBracket)?;
                let right = self.projected(STAR)?;
                self.pair(Node::Projection, left, right)
            }
            (Token::Colon, _) | (Token::Number(_), Token::Colon) => {
                let slice = self.slice()?;
                let sliced = self.pair(Node::Then, left, Tree::leaf(slice))?;
                let right = self.projected(STAR)?;
                self.pair(Node::Projection, sliced, right)
            }
            (Token::Number(index), _) => {
                let index = Tree::leaf(Node::Index(*index));
                self.at += 1;
                self.expect(&Token::RightBracket)?;
                self.pair(Node::Then, left, index)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// After `[`, up to and with `]`.
    fn slice(&mut self) -> Result<Node, ParseError> {
        let mut parts = [None; 3];
        let mut part = 0;
        loop {
            match self.peek() {
                Token::Colon if part < 2 => part += 1,
                Token::Number(number) if parts[part].is_none() => parts[part] = Some(*number),
                Token::RightBracket => break,
                _ => return Err(self.unexpected()),
            }
            self.at += 1;
        }
        self.at += 1;
        let [start, stop, step] = parts;
        Ok(Node::Slice { start, stop, step })
    }

    /// What is applied to each element of a projection.
    fn projected(&mut self, power: u8) -> Result<Tree, ParseError> {
        if binding_power(self.peek()) < PROJECTION_STOP {
            return Ok(Tree::identity());
        }
        if *self.peek() == Token::Dot {
            self.at += 1;
            return self.after_dot(power);
        }
        self.expression(power)
    }

    fn after_dot(&mut self, power: u8) -> Result<Tree, ParseError> {
        match self.peek() {
            Token::Identifier(_) | Token::Quoted(_) | Token::Star => self.expression(power),
            Token::LeftBracket => {
                self.at += 1;
                self.list()
            }
            Token::LeftBrace => {
                self.at += 1;
                self.hash()
            }
            _ => Err(self.unexpected()),
        }
    }

    /// After the `[` of a multiselect list.
    fn list(&mut self) -> Result<Tree, ParseError> {
        let mut nodes = Vec::new();
        let mut depth = 0;
        loop {
            let item = self.expression(0)?;
            depth = depth.max(item.depth);
            nodes.push(item.node);
            if *self.peek() != Token::Comma {
                break;
            }
            self.at += 1;
        }
        self.expect(&Token::RightBracket)?;
        self.grow(Node::List(nodes), depth)
    }

    /// After the `{` of a multiselect hash.
    fn hash(&mut self) -> Result<Tree, ParseError> {
        let mut members = Vec::new();
        let mut depth = 0;
        loop {
            let (Token::Identifier(name) | Token::Quoted(name)) = self.peek() else {
                return Err(self.unexpected());
            };
            let name = name.clone();
            self.at += 1;
            self.expect(&Token::Colon)?;
            let value = self.expression(0)?;
            depth = depth.max(value.depth);
            members.push((name, value.node));
            if *self.peek() != Token::Comma {
                break;
            }
            self.at += 1;
        }
        self.expect(&Token::RightBrace)?;
        self.grow(Node::Hash(members), depth)
    }

    /// After the name of a function, at its `(`.
    fn call(&mut self, name: String) -> Result<Tree, ParseError> {
        self.expect(&Token::LeftParenthesis)?;
        let mut arguments = Vec::new();
        let mut depth = 0;
        while *self.peek() != Token::RightParenthesis {
            if !arguments.is_empty() {
                self.expect(&Token::Comma)?;
            }
            let reference = *self.peek() == Token::Ampersand;
            if reference {
                self.at += 1;
            }
            let tree = self.expression(0)?;
            depth = depth.max(tree.depth);
            arguments.push(match reference {
                true => Argument::Expression(tree.node),
                false => Argument::Value(tree.node),
            });
        }
        self.at += 1;
        self.grow(Node::Call { name, arguments }, depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_the_place() {
        let error = parse("a.b.]").unwrap_err();
        assert_eq!(error.offset, 4);
        assert_eq!(parse("a.").unwrap_err().to_string(), "Unexpected end of the expression at offset 2");
    }

    #[test]
    fn depth_is_bounded_whatever_nests() {
        let deep = 100_000 / 8;
        for (open, core, close) in [
            ("(", "a", ")"),
            ("[", "a", "]"),
            ("{a:", "a", "}"),
            ("f(", "a", ")"),
            ("f(&", "a", ")"),
            ("!", "a", ""),
            ("", "a", ".a"),
            ("", "a", "[0]"),
            ("", "a", "[]"),
            ("", "a", "[*]"),
            ("", "a", "|a"),
            ("a[?", "a", "]"),
            ("a||", "a", ""),
            ("*.", "a", ""),
        ] {
            let nested = |levels: usize| format!("{}{core}{}", open.repeat(levels), close.repeat(levels));
            assert!(parse(&nested(20)).is_ok(), "{open}{core}{close}");
            let error = parse(&nested(deep)).unwrap_err();
            assert!(error.message.contains("nested over"), "{open}{core}{close}: {error}");
        }
        assert!(parse(&"a".repeat(JMESPATH_BYTES + 1)).is_err());
    }
}
