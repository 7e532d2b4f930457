//! Routes as tables: a row says by its method and path which request it is for, what credentials that wants, and what
//! answers it. The router of a plane looks into its table and nowhere else, so whoever reads the table knows every route.

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

/// The first row for a request; `segments` are the path's, decoded, without empty ones.
pub fn find<'t, H>(rows: &'t [Row<H>], method: &str, segments: &[String]) -> Found<'t, H> {
    if let Some((row, captures)) = fitting(rows, method, segments).next() {
        return Found::Row(row, captures);
    }
    let mut others = Vec::new();
    for row in rows.iter().filter(|row| captures(row.path, segments).is_some()) {
        if !others.contains(&row.method) {
            others.push(row.method);
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// The rows for a request, first the first, each with the segments that stand for its `{name}`s.
pub fn fitting<'t, H>(
    rows: &'t [Row<H>],
    method: &str,
    segments: &[String],
) -> impl Iterator<Item = (&'t Row<H>, Vec<String>)> {
    rows.iter()
        .filter(move |row| row.method == "*" || row.method.eq_ignore_ascii_case(method))
        .filter_map(move |row| captures(row.path, segments).map(|captures| (row, captures)))
}

/// The rows as others may know them.
pub fn info<H>(plane: &'static str, rows: &[Row<H>]) -> Vec<RouteInfo> {
    let of =
        |row: &Row<H>| RouteInfo { plane, method: row.method.to_owned(), path: row.path.to_owned(), wants: row.wants };
    rows.iter().map(of).collect()
}

/// The segments that stand for the `{name}`s of `pattern`; `None` when the path is another one. Every request asks this of
/// many patterns, so nothing is allocated for one that does not fit.
pub fn captures(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let parts = || pattern.split('/').filter(|part| !part.is_empty());
    let (length, gap) = (parts().count(), parts().position(|part| part == "**"));
    // Without a gap, the head is all.
    let head = gap.unwrap_or(length);
    let tail = length - head - usize::from(gap.is_some());
    let rest = segments.len().checked_sub(tail).filter(|rest| *rest >= head && (gap.is_some() || *rest == head))?;
    let pairs = || {
        let behind = parts().skip(head + 1).zip(&segments[rest..]);
        parts().take(head).zip(&segments[..head]).chain(behind)
    };
    let named = |part: &str| part.starts_with('{');
    if !pairs().all(|(part, segment)| named(part) || part.eq_ignore_ascii_case(segment)) {
        return None;
    }
    Some(pairs().filter(|(part, _)| named(part)).map(|(_, segment)| segment.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[Row<u8>] = &[
        Row { method: "POST", path: "/devices/query", wants: Wants::Nothing, run: 1 },
        Row { method: "GET", path: "/devices/{id}", wants: Wants::Nothing, run: 2 },
        Row { method: "PUT", path: "/devices/{id}", wants: Wants::Nothing, run: 3 },
        Row { method: "*", path: "/jobs/**", wants: Wants::Nothing, run: 4 },
        Row { method: "GET", path: "/**/status/{id}", wants: Wants::Nothing, run: 5 },
    ];

    fn look(method: &str, path: &str) -> String {
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        match find(ROWS, method, &segments) {
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
    }
}
