//! What a Rust file names: its `use`s and the paths in its text. Read from the words alone, without a compiler: what a macro
//! makes, and methods, which have no path, are not seen.

/// What one file names. Tests, comments and texts are left out.
#[derive(Default)]
pub(crate) struct Named {
    /// Its `use`s.
    pub(crate) uses: Vec<Use>,
    /// Paths beside those, of two words at least, as they are written.
    pub(crate) paths: Vec<Vec<String>>,
    /// Modules in files of their own that only tests have.
    pub(crate) tests: Vec<String>,
}

/// One name of a `use`.
pub(crate) struct Use {
    /// Its path as it is written; the last word is `*` where everything is meant.
    pub(crate) path: Vec<String>,
    /// What it is called in the file.
    pub(crate) name: String,
    /// Whether others may take it from here.
    pub(crate) public: bool,
}

/// Reads a file. Its tests are last in it.
pub(crate) fn read(text: &str) -> Named {
    let tokens = tokens(text);
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    let (mut named, mut at) = (Named::default(), 0);
    while at < tokens.len() {
        let is_test =
            ["#", "[", "cfg", "(", "test", ")", "]", "mod"].iter().enumerate().all(|(n, w)| word(at + n) == *w);
        if is_test && word(at + 9) == "{" {
            break;
        }
        if is_test {
            named.tests.push(word(at + 8).to_owned());
            at += 9;
        } else if word(at) == "use" {
            let end = (at..tokens.len()).find(|end| word(*end) == ";").unwrap_or(tokens.len());
            let public = at > 0 && matches!(word(at - 1), "pub" | ")");
            tree(&tokens[at + 1..end], &[], public, &mut named.uses);
            at = end;
        } else if is_word(word(at)) && word(at + 1) == "::" {
            // `pub(in crate::arm)` says who may look, and uses nothing.
            let shows = at > 1 && word(at - 1) == "in" && word(at - 2) == "(";
            let mut path = vec![word(at).to_owned()];
            while word(at + 1) == "::" && is_word(word(at + 2)) {
                path.push(word(at + 2).to_owned());
                at += 2;
            }
            if path.len() > 1 && !shows {
                named.paths.push(path);
            }
            at += 1;
        } else {
            at += 1;
        }
    }
    named
}

/// The names of the tree of a `use`, all below `above`.
fn tree(tokens: &[String], above: &[String], public: bool, found: &mut Vec<Use>) {
    let mut path = above.to_vec();
    let mut rest = tokens;
    while let [word, colons, below @ ..] = rest
        && colons == "::"
    {
        path.push(word.clone());
        rest = below;
    }
    match rest {
        [open, inner @ .., close] if open == "{" && close == "}" => {
            let mut depth = 0;
            let mut parts = vec![Vec::new()];
            for token in inner {
                depth += i32::from(token == "{") - i32::from(token == "}");
                if depth == 0 && token == "," {
                    parts.push(Vec::new());
                } else if let Some(part) = parts.last_mut() {
                    part.push(token.clone());
                }
            }
            parts.iter().filter(|part| !part.is_empty()).for_each(|part| tree(part, &path, public, found));
        }
        [word, renamed @ ..] => {
            if word != "self" {
                path.push(word.clone());
            }
            let name = renamed.last().or(path.last()).cloned().unwrap_or_default();
            found.push(Use { path, name, public });
        }
        [] => {}
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The words and signs of a text; `::` is one sign, and comments, texts, characters and lifetimes are none.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_text(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            character(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a text such as `r#"…"#`.
fn raw_text(rest: &str) -> Option<usize> {
    let open = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = open.len() - open.trim_start_matches('#').len();
    let inner = open[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inner.find(&end).map_or(rest.len(), |at| rest.len() - inner.len() + at + end.len()))
}

/// The length of what stands in quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character such as `'x'` or `'\n'`, or of the sign before a lifetime's name.
fn character(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(rest, '\''),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_names_is_found_and_nothing_else() {
        let named = read(
            r##"
            //! super::comment::x
            use super::{a::{self, B as C}, d};
            pub(crate) use e::F;
            pub(in crate::arm) fn f<'a>(x: &'a str) -> char { d::g(x, "super::text::x", '"', r#"super::raw"::x"#); '\'' }
            impl h::I for J { fn k() { l::<M>(super::n::O::new()) } }
            #[cfg(test)]
            mod p;
            #[cfg(test)]
            mod tests {
                use super::q;
            }
            "##,
        );
        let uses: Vec<String> =
            named.uses.iter().map(|u| format!("{} {} {}", u.path.join("::"), u.name, u.public)).collect();
        assert_eq!(uses, ["super::a a false", "super::a::B C false", "super::d d false", "e::F F true"]);
        let paths: Vec<String> = named.paths.iter().map(|path| path.join("::")).collect();
        assert_eq!(paths, ["d::g", "h::I", "super::n::O::new"]);
        assert_eq!(named.tests, ["p"]);
    }
}
