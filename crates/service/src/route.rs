//! Routes as tables: a row says by its method and path which request it is for, what credentials that wants, and what
//! answers it. The router of a plane looks into its table and nowhere else, so whoever reads the table knows every route.

use std::sync::OnceLock;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing: it is for those who cannot have signed in yet, or public by nature.
    Nothing,
    /// A client's id and secret.
    ClientSecret,
    /// Any principal's bearer token.
    Principal,
    /// A principal's bearer token, and a right.
    Right,
    /// A shared access policy or a bearer token, and a right of the plane.
    PolicyOrBearer,
    /// A shared access policy or a bearer token, and no right: there is nothing to get.
    Known,
    /// A device's attestation.
    Device,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Row<H: 'static> {
    /// The method; `*` is any.
    pub method: &'static str,
    /// The path: words ignoring case, `{name}` for any one segment, `**` (once) for any number of them.
    pub path: &'static str,
    /// What it asks of the caller.
    pub wants: Wants,
    /// What answers.
    pub run: H,
}

/// A route without what answers it: what a table tells to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// Which table it is in.
    pub plane: &'static str,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// What it asks of the caller.
    pub wants: Wants,
}

/// What a table knows of a request.
pub enum Found<'t, H: 'static> {
    /// A row, and the segments that stand for its `{name}`s, in order.
    Row(&'t Row<H>, Vec<String>),
    /// The path is known, with these methods only.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// The rows of a plane, tried in order. What their paths are made of is read once, at the first request.
pub struct Table<H: 'static> {
    rows: &'static [Row<H>],
    paths: OnceLock<Vec<Path<'static>>>,
}

impl<H> Table<H> {
    /// The table with these rows.
    pub const fn new(rows: &'static [Row<H>]) -> Self {
        Self { rows, paths: OnceLock::new() }
    }

    /// The rows, in order.
    pub fn rows(&self) -> &'static [Row<H>] {
        self.rows
    }

    /// The first row for a request; `segments` are the path's, decoded, without empty ones.
    pub fn find(&self, method: &str, segments: &[String]) -> Found<'static, H> {
        if let Some((row, captures)) = self.fitting(method, segments).next() {
            return Found::Row(row, captures);
        }
        let mut others = Vec::new();
        for (row, _) in self.with_paths().filter(|(_, path)| path.fits(segments).is_some()) {
            if !others.contains(&row.method) {
                others.push(row.method);
            }
        }
        if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
    }

    /// The first row for a path, whatever the method: what decides which plane a request is for.
    pub fn at(&self, segments: &[&str]) -> Option<&'static Row<H>> {
        self.with_paths().find(|(_, path)| path.fits(segments).is_some()).map(|(row, _)| row)
    }

    /// The rows for a request, first the first, each with the segments that stand for its `{name}`s.
    pub fn fitting(&self, method: &str, segments: &[String]) -> impl Iterator<Item = (&'static Row<H>, Vec<String>)> {
        self.with_paths()
            .filter(move |(row, _)| row.method == "*" || row.method.eq_ignore_ascii_case(method))
            .filter_map(move |(row, path)| path.captures(segments).map(|captures| (row, captures)))
    }

    /// The rows as others may know them.
    pub fn info(&self, plane: &'static str) -> Vec<RouteInfo> {
        let of = |row: &Row<H>| RouteInfo {
            plane,
            method: row.method.to_owned(),
            path: row.path.to_owned(),
            wants: row.wants,
        };
        self.rows.iter().map(of).collect()
    }

    fn with_paths(&self) -> impl Iterator<Item = (&'static Row<H>, &Path<'static>)> {
        let paths = self.paths.get_or_init(|| self.rows.iter().map(|row| Path::of(row.path)).collect());
        self.rows.iter().zip(paths)
    }
}

/// The segments that stand for the `{name}`s of `pattern`; `None` when the path is another one.
pub fn captures(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    Path::of(pattern).captures(segments)
}

/// What the path of a row is made of.
struct Path<'p> {
    /// Up to the `**`, or all of it.
    head: Vec<&'p str>,
    /// Behind the `**`; `None` where there is none.
    tail: Option<Vec<&'p str>>,
}

impl<'p> Path<'p> {
    fn of(pattern: &'p str) -> Self {
        let mut parts = pattern.split('/').filter(|part| !part.is_empty());
        let head = parts.by_ref().take_while(|part| *part != "**").collect();
        Self { head, tail: pattern.contains("**").then(|| parts.collect()) }
    }

    /// The segments that head and tail stand for, where they fit. The tail is what tells rows with a `**` apart.
    fn fits<'s, S: AsRef<str>>(&self, segments: &'s [S]) -> Option<(&'s [S], &'s [S])> {
        let tail = self.tail.as_deref().unwrap_or_default();
        let rest = segments.len().checked_sub(tail.len()).filter(|rest| match self.tail {
            Some(_) => *rest >= self.head.len(),
            None => *rest == self.head.len(),
        })?;
        let (first, last) = (&segments[..self.head.len()], &segments[rest..]);
        let same = |(part, segment): (&&str, &S)| is_named(part) || part.eq_ignore_ascii_case(segment.as_ref());
        (tail.iter().zip(last).all(same) && self.head.iter().zip(first).all(same)).then_some((first, last))
    }

    fn captures(&self, segments: &[String]) -> Option<Vec<String>> {
        let (first, last) = self.fits(segments)?;
        let behind = self.tail.iter().flatten().zip(last);
        let named = self.head.iter().zip(first).chain(behind).filter(|(part, _)| is_named(part));
        Some(named.map(|(_, segment)| segment.clone()).collect())
    }
}

fn is_named(part: &str) -> bool {
    part.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROWS: Table<u8> = Table::new(&[
        Row { method: "POST", path: "/devices/query", wants: Wants::Nothing, run: 1 },
        Row { method: "GET", path: "/devices/{id}", wants: Wants::Nothing, run: 2 },
        Row { method: "PUT", path: "/devices/{id}", wants: Wants::Nothing, run: 3 },
        Row { method: "*", path: "/jobs/**", wants: Wants::Nothing, run: 4 },
        Row { method: "GET", path: "/**/status/{id}", wants: Wants::Nothing, run: 5 },
    ]);

    fn look(method: &str, path: &str) -> String {
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        match ROWS.find(method, &segments) {
            Found::Row(row, captures) => format!("{} {}", row.run, captures.join(",")),
            Found::OtherMethods(methods) => methods.join(","),
            Found::Nothing => "none".into(),
        }
    }

    #[test]
    fn the_first_row_that_fits_answers() {
        for (method, path, want) in [
            ("POST", "/devices/query", "1 "),
            ("GET", "/Devices/Query", "2 Query"),
            ("PUT", "/devices/a/", "3 a"),
            ("DELETE", "/devices/a", "GET,PUT"),
            ("GET", "/jobs", "4 "),
            ("TRACE", "/JOBS/a/b", "4 "),
            ("GET", "/status/x", "5 x"),
            ("GET", "/a/b/Status/x", "5 x"),
            ("GET", "/devices", "none"),
            ("GET", "/devices/a/b", "none"),
            ("GET", "/", "none"),
        ] {
            assert_eq!(look(method, path), want, "{method} {path}");
        }
        assert_eq!(ROWS.at(&["DEVICES", "a"]).map(|row| row.run), Some(2));
        assert!(ROWS.at(&["devices"]).is_none() && ROWS.at(&[]).is_none());
    }
}
