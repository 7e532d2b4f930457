//! Queries that were written to make much of little: each ends, and none makes more than it may. (What is not bounded here would
//! take years, so no clock is looked at.)

use super::tests::{NOW, Rows, SCHEMA, planned, rows, run_page, tables, value};
use super::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a query is refused for, by the limit that it meets.
fn limited(text: &str) -> String {
    let fault = run_page(text, Page::new(0, 10)).map(drop).expect_err(&text[..text.len().min(300)]);
    assert_eq!(fault.kind, FaultKind::Limit, "{fault}");
    fault.message
}

/// `let v0 = first; let v1 = …` and so on, each by `next` with the one before it where that has `@`; then `last` in the same way.
fn lets(count: usize, first: &str, next: &str, last: &str) -> String {
    let mut text = format!("let v0 = {first};\n");
    for number in 1..count {
        text.push_str(&format!("let v{number} = {};\n", next.replace('@', &format!("v{}", number - 1))));
    }
    text + &last.replace('@', &format!("v{}", count - 1))
}

#[test]
fn a_name_stands_for_one_value_however_it_was_made() {
    for doubled in [
        "@ and @",
        "@ or @",
        "iff(@, @, @)",
        "case(@, @, @, @, @)",
        "coalesce(@, @)",
        "@ in (@, @)",
        "not(@) == not(@)",
    ] {
        assert_eq!(rows(&lets(60, "true and true", doubled, "Things | where @ | count")), json!([[4]]), "{doubled}");
    }
    let (open, closed) = ("coalesce(".repeat(60), ")".repeat(60));
    let deep = lets(40, "true", &format!("{open}@{closed}"), "Things | where @ | count");
    assert_eq!(rows(&deep), json!([[4]]), "nothing is left of how it was nested");
    assert_eq!(value("coalesce(parse_json('{\"a\":[5]}').a[0] + 1, 2)"), json!(6));
}

#[test]
fn a_value_that_is_compared_twice_is_computed_once() {
    let within = |text: String, _| format!("({text} between (false .. true))");
    let nested = (0..30).fold("(size > 1)".to_owned(), within);
    assert_eq!(rows(&format!("Things | where {nested} | count")), json!([[3]]));
    for (expression, expected) in [
        ("5 between (1 .. 5)", json!(true)),
        ("5 !between (1 .. 5)", json!(false)),
        ("toint('x') between (1 .. 5)", Json::Null),
        ("9 between (toint('x') .. 5)", json!(false)),
        ("now() between (datetime(2026-06-15) .. 1d)", json!(true)),
        ("now() between ('2026-06-14' .. '2026-06-15')", json!(false)),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn no_value_grows_without_end() {
    for doubled in [
        "strcat(@, @)",
        "array_concat(@, @)",
        "pack_array(@, @)",
        "bag_pack('a', @, 'b', @)",
        "bag_merge(bag_pack(tostring(@), @), bag_pack('b', @))",
        "strcat_array(pack_array(@, @), tostring(@))",
        "strcat_delim(tostring(@), @, @, @)",
        "split(strcat(tostring(@), ' ', tostring(@)), ' ')",
        "replace_string(tostring(@), '1', strcat(tostring(@), '1'))",
        "replace_regex(substring(@, 0, 1000), '.', substring('1111111111111111', 0, 16))",
        "iff(isnull(@), dynamic([1, 1]), array_concat(@, @))",
    ] {
        for first in ["dynamic([1, 1])", "'1 1'"] {
            let made = lets(30, first, doubled, "Things | take 1 | project strlen(tostring(@))");
            let grown = (0..26).fold(format!("Things | extend x = {first}"), |text, _| {
                format!("{text} | extend x = {}", doubled.replace('@', "x"))
            });
            // Where a limit is met it is refused, or what is too large is nothing.
            for text in [made, format!("{grown} | project strlen(tostring(x)) | take 1")] {
                match run_page(&text, Page::new(0, 10)) {
                    Ok((_, answer)) => assert!(answer.rows[0][0].as_u64().unwrap() <= 4 << 20, "{doubled}"),
                    Err(fault) => {
                        assert!(matches!(fault.kind, FaultKind::Limit | FaultKind::Meaning), "{doubled}: {fault}")
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_is_nested_deeper_than_clients_read() {
    let wrapped = format!("{}@{}", "pack_array(".repeat(30), ")".repeat(30));
    let text = lets(60, "1", &wrapped, "Things | take 1 | project x = @");
    let nested = rows(&text)[0][0].to_string();
    assert!(nested.len() < 600, "{nested}");
    let grown = (0..60).fold("Things | extend x = pack_array(1)".to_owned(), |text, _| {
        format!("{text} | extend x = {}", wrapped.replace('@', "x"))
    });
    assert!(rows(&format!("{grown} | project x | take 1"))[0][0].to_string().len() < 600);
}

#[test]
fn what_is_made_for_a_row_and_for_an_answer_is_counted() {
    // A text of 512 KB, and many that differ from it.
    let begin = lets(16, "'0123456789abcdef'", "strcat(@, @)", "");
    let many = |count, one: &str| (0..count).map(|n| one.replace('#', &n.to_string())).collect::<Vec<_>>().join(", ");
    let made = "toupper(strcat(v15, id, '#'))";
    for operator in [
        format!("where array_length(pack_array({})) > 1", many(60, made)),
        format!("extend {}", many(200, &format!("x = {made}"))),
        format!("extend {} | extend {}", many(50, &format!("x# = {made}")), many(50, &format!("y# = {made}"))),
        format!("summarize count() by {}", many(200, made)),
        format!("order by {}", many(200, made)),
        format!("mv-expand {}", many(100, &format!("x = pack_array({made})"))),
        format!("project {}", many(100, "c# = v15")),
    ] {
        limited(&format!("{begin} Things | {operator}"));
    }
    // Of no row at all: what is computed before the first one.
    let folded = (0..50).map(|n| format!("isempty(strcat(v15, '{n}'))")).collect::<Vec<_>>().join(" or ");
    assert!(limited(&format!("{begin} Things | where {folded} | count")).contains("computes"));
}

#[test]
fn rows_of_every_kind_of_gathering_are_counted() {
    let begin = format!("{}Things | extend n = strcat(v13, id)", lets(14, "'0123456789abcdef'", "strcat(@, @)", ""));
    // A text of 128 KB in each of four rows, of which a megabyte is held.
    for gathered in [
        "project id | union (Things | project x = v13), (Things | project x = v13), (Things | project x = v13)",
        "union (Things | extend n = strcat(v13, name)), (Things | extend n = strcat(v13, name, name)), (Things | extend n = strcat(v13, id, id))",
        "join kind=inner (Things | extend m = strcat(v13, name), k = strcat(v13, id, id)) on id | order by m",
        "summarize m = make_list(n), s = make_set(strcat(n, n)), t = make_list(strcat(n, '1'))",
        "summarize max(strcat(n, '1')), max(strcat(n, '2')), arg_max(size, n, strcat(n, '3')) by id",
        "order by strcat(n, '1'), strcat(n, '2')",
        "distinct n, strcat(n, '1'), strcat(n, '2')",
    ] {
        assert!(limited(&format!("{begin} | {gathered}")).contains("needs more"), "{gathered}");
    }
    // What was let go of is not counted any more: two texts of 64 KB go through many stages.
    let groups = "summarize c = count(), l = make_list(n), a = arg_max(size, n) by n, id | project n, id, size = 1";
    let small = "Things | take 2 | extend n = strcat(v12, id)";
    let text = format!(
        "{}{small} | order by n | order by id | order by name | distinct n, id | order by n | extend size = 1 | {groups} | {groups} | {groups} | summarize c = dcount(n)",
        lets(13, "'0123456789abcdef'", "strcat(@, @)", "")
    );
    assert_eq!(rows(&text), json!([[2]]));
}

#[test]
fn a_query_names_few_of_what_each_costs_much() {
    let ors = |one: &dyn Fn(usize) -> String, count| (0..count).map(one).collect::<Vec<_>>().join(" or ");
    for text in [
        ors(&|number| format!("name matches regex 'a{number}'"), 40),
        ors(&|number| format!("trim('a{number}', name) == 'x'"), 40),
        ors(&|number| format!("extract('a{number}', 0, name) == 'x'"), 40),
        ors(&|number| format!("properties.a{number}.b.c.d.e.f.g.h.i.j.k == 1"), 400),
        format!("replace_regex(name, '(a)', @'{}') == 'x'", r"\1".repeat(40)),
        format!("name matches regex strcat('a', '{}')", "b|".repeat(50))
            + " or "
            + &ors(&|_| "name matches regex 'x'".into(), 32),
    ] {
        limited(&format!("Things | where {text} | count"));
    }
    for text in [
        format!("Things | project {}", vec!["name"; 5000].join(",")),
        format!("Things | extend {}", vec!["x = size + 1"; 2000].join(",")),
        format!("Things | summarize count() by {}", vec!["name"; 5000].join(",")),
        format!("Things | summarize {}", vec!["count()"; 3000].join(",")),
        format!("Things | summarize arg_max({})", vec!["size, *"; 16].join(",")) + " | summarize take_any(*, *, *, *)",
        format!("Things | order by {}", vec!["name"; 5000].join(",")),
        format!("Things | project-away {}", vec!["n*"; 5000].join(",")),
        format!("Things | mv-expand {}", vec!["x = properties"; 1500].join(",")),
        format!("Things | join places on {}", vec!["location"; 3000].join(",")),
        (0..60).fold("Things | extend x = properties".to_owned(), |text, _| {
            text + " | extend x = x.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"
        }),
    ] {
        limited(&text);
    }
}

/// Rows that stop the query once one of them is looked at.
struct StoppingRows<'a>(Rows, &'a AtomicBool);

impl Part for StoppingRows<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn column(&self, row: usize, column: usize) -> Value<'_> {
        self.1.store(true, Ordering::Relaxed);
        self.0.column(row, column)
    }

    fn path(&self, row: usize, path: usize) -> Value<'_> {
        self.0.path(row, path)
    }
}

struct Stopping<'a>(Vec<StoppingRows<'a>>);

impl Source for Stopping<'_> {
    fn parts(&self, _: usize) -> Vec<&dyn Part> {
        self.0.iter().map(|part| part as &dyn Part).collect()
    }
}

#[test]
fn what_takes_long_is_stopped() {
    let text = |count| lets(count, "'0123456789abcdef'", "strcat(@, @)", "");
    let (long, words) = (text(16), "let w = split(substring(v13, 0, 100000), '7');");
    let searched: Vec<String> =
        (0..300).map(|number| format!("(strcat(v15, name) contains strcat(name, v14, '{number}'))")).collect();
    for query in [
        format!("{long}{words} Things | where strcat(v15, name) has_any (w) | count"),
        format!("{long}{words} Things | where strcat(v15, name) has_all (w) | count"),
        format!("{long} Things | where {} | count", searched.join(" or ")),
        format!(
            "{long} Things | extend x = replace_regex(strcat(substring(v15, 0, 60000), name), '(.*[^ -~]|[ -~])', '') | count"
        ),
    ] {
        let stop = AtomicBool::new(false);
        let plan = plan(&query, &SCHEMA, NOW, &stop).unwrap();
        let source =
            Stopping(tables(&plan).0.swap_remove(0).into_iter().map(|rows| StoppingRows(rows, &stop)).collect());
        let limits = Limits { stop: &stop, memory_bytes: 64 << 20, threads: 2 };
        let fault = plan.run(&source, Page::new(0, 10), limits).unwrap_err();
        assert!(fault.message.contains("took too long"), "{fault}");
    }
    // What a plan would hold of one value many times.
    let long = lets(16, "'0123456789abcdef'", "strcat(@, @)", "");
    for held in [
        format!("name in ({})", vec!["v15"; 100].join(", ")),
        vec!["name == v15"; 100].join(" or "),
        vec!["isnull(properties[v15])"; 100].join(" or "),
        (0..100).map(|n| format!("isnull(properties[v15].a{n})")).collect::<Vec<_>>().join(" or "),
    ] {
        let text = format!("{long}Things | where {held} | count");
        assert!(limited(&text).contains("computes"), "{}", &held[..50]);
    }
    let stopped = AtomicBool::new(true);
    let fault = plan("Things | where strcat('a', 'b') == name", &SCHEMA, NOW, &stopped).unwrap_err();
    assert!(fault.message.contains("took too long"), "{fault}");
}

#[test]
fn a_search_without_regard_to_case_finds_the_same_in_long_texts() {
    let long = lets(12, "'0123456789abcdef'", "strcat(@, @)", "");
    for (part, found) in [
        ("v3", true),
        ("strcat(v10, 'X')", false),
        ("toupper(v10)", true),
        ("'EF01'", true),
        ("'fe'", false),
        ("''", true),
    ] {
        let text = format!("{long} Things | take 1 | project strcat(v11, name) contains {part}");
        assert_eq!(rows(&text), json!([[found]]), "{part}");
    }
    let pattern = "Things | where name matches regex 'a'";
    assert!(
        limited(&format!("{long} Things | where strcat(v11, v11, v11, name) matches regex 'a' | count"))
            .contains("substring")
    );
    assert!(planned(pattern).is_ok());
}

#[test]
fn lists_are_looked_up_whatever_is_in_them() {
    for (expression, expected) in [
        ("'b' in ('c', 'a', 'b')", true),
        ("'B' in ('c', 'a', 'b')", false),
        ("'B' in~ ('c', 'ä', 'b')", true),
        ("'Ä' in~ ('c', 'ä', 'b')", true),
        ("'Ä' !in~ ('c', 'ä', 'b')", false),
        ("5 in ('5', 6)", true),
        ("5 in (6, 5)", true),
        ("'5' in (6, 5)", true),
        ("dynamic(null) in ('')", true),
        ("dynamic(null) in ('x', 1)", false),
        ("dynamic([1]) in ('[1]')", true),
        ("size in (pack_array(size, 'x'))", true),
        ("name in~ (pack_array('PUMP-1', size))", true),
        ("name in (pack_array('PUMP-1', size))", false),
        ("set_has_element(dynamic(['a', 3]), 3)", true),
        ("set_has_element(dynamic(['a', 3]), '3')", true),
        ("set_has_element(dynamic(['a', 3]), 'A')", false),
        ("'one two' has_any ('three', 'TWO')", true),
        ("'one two' has_all ('ONE', 'TWO')", true),
        ("'one two' has_all ('ONE', 'TW')", false),
        ("'one two' has_any (pack_array())", false),
    ] {
        assert_eq!(value(expression), json!(expected), "{expression}");
    }
}

#[test]
fn moments_and_spans_out_of_range_are_nothing() {
    for expression in [
        "totimespan('0.-9000000000000000000:0:0')",
        "totimespan('-9000000000000000000.0:0:0')",
        "totimespan('1.0:-9000000000000000000:0')",
        "totimespan('99999999999')",
        "totimespan('1.0:0:nan')",
        "now() + 1d * 9000000",
        "now() - timespan(10000000.00:00:00) * 99",
        "-timespan(10000000.00:00:00) * 100000000000",
        "datetime_add('week', 9223372036854775807, now())",
        "datetime_diff('nanosecond', datetime(9999-12-01), datetime(0001-01-01))",
        "bin(datetime(0001-01-01), 10000000d)",
        "format_datetime(now(), strcat_array(split(replace_string(tostring(pack_array(1, 2, 3, 4, 5, 6, 7, 8, 9)), ',', 'yyyyyyyyyyyyyyyyyyyyyyyy'), '1'), 'y'))",
        "-9223372036854775807 - 1 - 1",
        "abs(-9223372036854775807 - 1)",
        "(-9223372036854775807 - 1) / -1",
        "(-9223372036854775807 - 1) % -1",
    ] {
        let made = value(expression);
        assert!(made.is_null() || made == json!("") || expression.starts_with("bin"), "{expression}: {made}");
    }
    assert!(planned("Things | where size > timespan(0.-9000000000000000000:0:0)").is_err());
    let wide = lets(14, "'yyyyyyyyyyyyyyyy'", "strcat(@, @)", "Things | take 1 | project format_datetime(now(), @)");
    assert_eq!(rows(&wide), json!([[null]]));
    assert_eq!(
        value("format_datetime(now(), 'yyyy-MM-ddTHH:mm:ss.fffffff--------')"),
        json!("2026-06-15T12:00:00.0000000--------")
    );
}

#[test]
fn numbers_that_are_none_have_a_place_when_sorted() {
    let mixed = "Things | mv-expand x = dynamic([1, 9007199254740993, 9007199254740992, 0.5, 9007199254740992.0, null, 3]) \
        | mv-expand y = dynamic(['nan', '1', '-1']) | extend z = iff(tolong(x) == 3, todouble(y), todouble(x)), w = todouble(x) * todouble(y)";
    let sorted = rows(&format!("{mixed} | order by z asc, w asc | project z"));
    assert_eq!(sorted.as_array().unwrap().len(), 4 * 7 * 3);
    assert_eq!(rows(&format!("{mixed} | order by w asc nulls last | summarize count()")), json!([[84]]));
}

#[test]
fn a_query_with_take_begins_at_its_first_row() {
    for (text, skip, first) in
        [("Things | take 3", 2, "/a"), ("Things | limit 3 | project id", 1, "/a"), ("Things", 2, "/c")]
    {
        let (_, answer) = run_page(text, Page::new(skip, 2)).unwrap();
        assert_eq!(answer.rows[0][0], json!(first), "{text}");
    }
}

/// An expression of up to so many levels, over names that `let` may have given.
fn expression(levels: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec![
        "1",
        "'ab'",
        "true",
        "v0",
        "v1",
        "v2",
        "name",
        "size",
        "properties",
        "now()",
        "1d",
        "dynamic([1, 'x'])",
    ]);
    let one = leaf.prop_map(str::to_owned);
    one.prop_recursive(levels, 64, 4, |inner| {
        let name = prop::sample::select(vec![
            "strcat",
            "pack_array",
            "array_concat",
            "bag_pack",
            "bag_merge",
            "coalesce",
            "iff",
            "case",
            "split",
            "tostring",
            "parse_json",
            "strlen",
            "not",
            "bag_keys",
            "replace_string",
            "strcat_array",
            "has_any",
            "substring",
            "todatetime",
        ]);
        let mark = prop::sample::select(vec![
            "and", "or", "+", "-", "*", "/", "%", "==", "contains", "has", "in", "has_any", "<",
        ]);
        prop_oneof![
            (name, prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(name, all)| format!("{name}({})", all.join(", "))),
            (inner.clone(), mark, inner.clone()).prop_map(|(one, mark, two)| format!("({one} {mark} ({two}))")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(one, low, high)| format!("({one} between ({low} .. {high}))")),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever names stand for each other, a query ends, and what it shows is no larger than it may be.
    #[test]
    fn nested_names_end(lets in prop::collection::vec(expression(3), 1..20), last in expression(3)) {
        let lets: String = lets.iter().enumerate().map(|(n, text)| format!("let v{} = {text};\n", n % 3)).collect();
        if let Ok((_, answer)) = run_page(&format!("{lets}Things | extend x = {last} | project x"), Page::new(0, 10)) {
            let shown: usize = answer.rows.iter().map(|row| row[0].to_string().len()).sum();
            prop_assert!(shown <= 8 << 20);
        }
    }
}
