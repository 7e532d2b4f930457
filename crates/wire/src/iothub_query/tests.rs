use super::tree::By;
use super::*;
use proptest::prelude::*;

fn path(text: &str) -> Expression {
    Expression::Path(text.split('.').filter(|part| !part.is_empty()).map(|part| Step::Name(part.into())).collect())
}

fn text(value: &str) -> Expression {
    Expression::Literal(Literal::Text(value.into()))
}

fn condition(words: &str) -> Expression {
    Query::parse(&format!("SELECT * FROM devices WHERE {words}")).unwrap().condition.unwrap()
}

fn equal(left: Expression, right: Expression) -> Expression {
    Expression::Binary(Operator::Equal, Box::new(left), Box::new(right))
}

/// The examples of Azure's page on the query language, each as it stands there.
#[test]
fn azures_examples_are_understood() {
    for example in [
        "SELECT * FROM devices",
        "SELECT * FROM devices WHERE tags.location.region = 'US'",
        "SELECT * FROM devices WHERE tags.location.region = 'US' AND properties.reported.telemetryConfig.sendFrequencyInSecs >= 60",
        "SELECT * FROM devices WHERE properties.reported.connectivity IN ['wired', 'wifi']",
        "SELECT * FROM devices WHERE is_defined(properties.reported.connectivity)",
        "SELECT properties.reported.telemetryConfig.status AS status, COUNT() AS numberOfDevices FROM devices GROUP BY properties.reported.telemetryConfig.status",
        "SELECT LastActivityTime FROM devices WHERE status = 'enabled'",
        "SELECT * FROM devices.modules",
        "SELECT * FROM devices.modules WHERE properties.reported.status = 'scanning'",
        "SELECT * FROM devices.modules WHERE deviceId IN ['device1', 'device2']",
        "SELECT COUNT() AS totalNumberOfDevices FROM devices",
        "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'myDeviceId'",
        "SELECT * FROM devices WHERE capabilities.iotEdge = true",
        "SELECT deviceId FROM devices WHERE configurations.[[my.config-1]].status = 'Applied'",
        "select top 10 deviceId, tags.x as place from devices d where d.tags.x <> 'a' order by d.tags.x desc, deviceId",
        "SELECT * FROM devices WHERE NOT (tags.a = 1 OR tags.b NIN [1, 2.5e3, -3]) AND STARTSWITH(deviceId, \"it's\")",
        "SELECT AVG(properties.reported.t) AS mean, MIN(tags.a), MAX(tags.a), SUM(tags.a * 2) FROM devices",
    ] {
        assert!(Query::parse(example).is_ok(), "{example}: {:?}", Query::parse(example));
    }
}

#[test]
fn a_query_becomes_a_tree() {
    let query = Query::parse(
        "SELECT TOP 5 devices.DEVICEID, tags.a.b AS here, LENGTH(deviceId) FROM devices WHERE Properties.Reported.Status = 'ok' ORDER BY here DESC",
    )
    .unwrap();
    assert_eq!(query.top, Some(5));
    assert_eq!(query.source, Source::Devices);
    let names: Vec<&str> = query.items().iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["deviceId", "here", "$1"]);
    assert_eq!(query.items()[0].shows, Projected::Value(path("deviceId")));
    assert_eq!(
        query.condition,
        Some(equal(path("properties.reported.Status"), text("ok"))),
        "names below are as written"
    );
    assert_eq!(query.order, [Order { by: By::Value(path("tags.a.b")), descending: true }]);
    assert!(!query.is_grouped());
}

#[test]
fn names_lose_what_stands_for_the_collection() {
    let of = |text: &str| Query::parse(text).unwrap().condition.unwrap();
    assert_eq!(of("SELECT * FROM devices AS d WHERE d.etag = 'x'"), equal(path("etag"), text("x")));
    assert_eq!(
        of("SELECT * FROM devices.modules WHERE devices.modules.moduleid = 'x'"),
        equal(path("moduleId"), text("x"))
    );
    assert_eq!(of("SELECT * FROM devices WHERE tags.devices = 'x'"), equal(path("tags.devices"), text("x")));
    assert_eq!(of("SELECT * FROM devices d WHERE IS_OBJECT(d)"), Expression::Call(Function::IsObject, vec![path("")]));
}

#[test]
fn operators_bind_as_they_do_in_sql() {
    let both = Expression::And(vec![equal(path("tags.b"), text("2")), Expression::Not(Box::new(path("tags.c")))]);
    assert_eq!(
        condition("tags.a = '1' OR tags.b = '2' AND NOT tags.c"),
        Expression::Or(vec![equal(path("tags.a"), text("1")), both])
    );
    let product = Expression::Binary(Operator::Times, Box::new(path("tags.b")), Box::new(path("tags.c")));
    let sum = Expression::Binary(Operator::Plus, Box::new(path("tags.a")), Box::new(product));
    assert_eq!(condition("tags.a + tags.b * tags.c = 'x'"), equal(sum, text("x")));
    let listed = |holds| Expression::In(Box::new(path("tags.a")), vec![text("1")], holds);
    for (words, holds) in [("IN ['1']", true), ("IN ('1')", true), ("NIN ['1']", false), ("not in ['1']", false)] {
        assert_eq!(condition(&format!("tags.a {words}")), listed(holds), "{words}");
    }
}

#[test]
fn literals_and_paths() {
    let right = |words: &str| match condition(&format!("tags.a = {words}")) {
        Expression::Binary(_, _, right) => *right,
        other => panic!("{other:?}"),
    };
    let literal = |words: &str| match right(words) {
        Expression::Literal(literal) => literal,
        other => panic!("{other:?}"),
    };
    assert_eq!(literal("0x1F"), Literal::Integer(31));
    assert_eq!(literal("1.5e-3"), Literal::Float(0.0015));
    assert_eq!(literal("12345678901234567890"), Literal::Float(12_345_678_901_234_567_890.0));
    assert_eq!(literal("NULL"), Literal::Null);
    assert_eq!(literal("undefined"), Literal::Undefined);
    assert_eq!(literal(r#""a\"b""#), Literal::Text("a\"b".into()));
    assert_eq!(literal(r"'a\u00e9''\\n'"), Literal::Text("aé'\\n".into()));
    assert_eq!(right("tags.[[a.b c]].1st"), {
        Expression::Path(vec![Step::Name("tags".into()), Step::Name("a.b c".into()), Step::Name("1st".into())])
    });
    assert_eq!(right("tags['a b'][2].$x"), {
        Expression::Path(vec![
            Step::Name("tags".into()),
            Step::Name("a b".into()),
            Step::Index(2),
            Step::Name("$x".into()),
        ])
    });
    assert_eq!(right("tags.select.from"), path("tags.select.from"), "behind a dot every word is a name");
    assert_eq!(right("true.x"), path("true.x"));
}

#[test]
fn groups_fit_what_is_shown() {
    let query =
        Query::parse("SELECT tags.a, COUNT() AS n FROM devices GROUP BY tags.a ORDER BY n DESC, tags.a").unwrap();
    assert!(query.is_grouped());
    let by: Vec<&By> = query.order.iter().map(|order| &order.by).collect();
    assert_eq!(by, [&By::Item(1), &By::Group(0)]);
    for (wrong, position) in [
        ("SELECT * FROM devices GROUP BY tags.a", 32),
        ("SELECT deviceId, COUNT() FROM devices", 8),
        ("SELECT tags.b FROM devices GROUP BY tags.a", 8),
        ("SELECT COUNT() AS n FROM devices ORDER BY tags.a", 43),
    ] {
        refuses(wrong, position);
    }
}

fn refuses(query: &str, position: usize) -> String {
    let error = Query::parse(query).unwrap_err();
    assert_eq!((error.code, error.numeric_code()), ("ArgumentInvalid", 400_004), "{query}");
    assert!(error.message.contains(&format!("at position {position}:")), "{query}: {}", error.message);
    error.message
}

#[test]
fn a_refusal_names_the_position_and_what_is_wanted() {
    for (query, position, word) in [
        ("", 1, "SELECT"),
        ("DELETE FROM devices", 1, "SELECT"),
        ("SELECT", 7, "a value"),
        ("SELECT * devices", 10, "FROM"),
        ("SELECT * FROM c", 15, "devices.modules"),
        ("SELECT * FROM devices.twins", 15, "devices.jobs"),
        ("SELECT * FROM devices WHERE", 28, "a value"),
        ("SELECT * FROM devices WHERE a = ", 33, "a value"),
        ("SELECT * FROM devices WHERE a == 1", 32, "a value"),
        ("SELECT * FROM devices WHERE (a = 1", 35, "')'"),
        ("SELECT * FROM devices WHERE a = 'x", 33, "quote"),
        ("SELECT * FROM devices WHERE a = 'x\\q'", 35, "stands before"),
        ("SELECT * FROM devices WHERE a IN 5", 34, "a list"),
        ("SELECT * FROM devices WHERE a LIKE 'x'", 31, "WHERE, GROUP BY"),
        ("SELECT * FROM devices WHERE a; DROP TABLE t", 30, "';' is not expected"),
        ("SELECT * FROM devices WHERE NOW() > 1", 29, "no function 'NOW'"),
        ("SELECT * FROM devices WHERE LENGTH() > 1", 29, "takes 1 arguments"),
        ("SELECT * FROM devices WHERE COUNT() > 1", 29, "after SELECT only"),
        ("SELECT SUM() FROM devices", 12, "a value"),
        ("SELECT TOP x * FROM devices", 12, "after TOP"),
        ("SELECT TOP -1 * FROM devices", 12, "after TOP"),
        ("SELECT a AS FROM devices", 18, "FROM"),
        ("SELECT a.x, b.x FROM devices", 13, "called 'x'"),
        ("SELECT a. FROM devices", 16, "FROM"),
        ("SELECT a.[[ FROM devices", 10, "]]"),
        ("SELECT a.[[]] FROM devices", 10, "no name"),
        ("SELECT a[-1] FROM devices", 10, "an index"),
        ("SELECT 0xZ FROM devices", 8, "no number"),
        ("SELECT 1e999 FROM devices", 8, "no number"),
        ("SELECT * FROM devices GROUP tags.a", 29, "BY"),
        ("SELECT * FROM devices ORDER BY a, b, c, d, e", 44, "4 values"),
        ("SELECT COUNT() FROM devices GROUP BY tags.a, devices.tags.a", 46, "already"),
        ("SELECT COUNT() FROM devices GROUP BY a, b, c, d, e, f, g, h, i, j, k", 68, "10 values"),
        ("SELECT é FROM devices WHERE ß = #", 33, "'#'"),
    ] {
        let message = refuses(query, position);
        assert!(message.contains(word), "{query}: {message}");
    }
}

#[test]
fn what_would_be_too_much_is_refused() {
    let long = format!("SELECT * FROM devices WHERE a = '{}'", "x".repeat(HUB_QUERY_CHARS));
    assert!(Query::parse(&long).unwrap_err().message.contains("characters"));
    for deep in ["(".repeat(4000), "NOT ".repeat(1900), "-".repeat(4000), "ABS(".repeat(1900), "[".repeat(4000)] {
        let error = Query::parse(&format!("SELECT * FROM devices WHERE {deep}")).unwrap_err();
        assert!(error.message.contains("deeper"), "{}", error.message);
    }
    let items = (0..101).map(|number| format!("tags AS a{number}")).collect::<Vec<_>>().join(", ");
    assert!(Query::parse(&format!("SELECT {items} FROM devices")).unwrap_err().message.contains("100 values"));
    let wide = format!("SELECT * FROM devices WHERE {} a", "a+".repeat(3500));
    assert!(Query::parse(&wide).unwrap_err().message.contains("terms"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in "\\PC{0,80}") {
        let _ = Query::parse(&text);
    }

    #[test]
    fn any_words_are_parsed_without_panic(words in prop::collection::vec(prop::sample::select(vec![
        "SELECT", "*", "FROM", "devices", "WHERE", "a", ".", "[[", "]]", "[", "]", "(", ")", "=", "<>", "'x'", "1", "-", "NOT",
        "IN", "AND", "COUNT", "GROUP", "BY", "ORDER", "TOP", ",", "AS", "LENGTH", "0x", "\"", "\\", "e+", "NIN",
    ]), 0..40)) {
        let _ = Query::parse(&words.join(" "));
        let _ = Query::parse(&words.concat());
    }
}
