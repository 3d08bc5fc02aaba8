use super::*;
use crate::hurl::parse;

fn answer(body: &'static str) -> Answer {
    let headers = [("content-type", "text/plain"), ("x-two", "a"), ("x-two", "b"), ("set-cookie", "who=ann; Path=/")];
    Answer {
        status: http::StatusCode::OK,
        headers: headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        body: Bytes::from_static(body.as_bytes()),
        trace: String::new(),
    }
}

fn failures(expected: &str, body: &'static str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = parse("t.hurl", &format!("GET /\n{expected}")).unwrap();
    let variables = [("seven".to_owned(), Value::number(7)), ("name".to_owned(), Value::text("Ann"))].into();
    let checked = check(file.entries[0].expected.as_ref().unwrap(), &answer(body), &variables, folder.path(), false);
    checked.failed.into_iter().map(|failed| format!("{} {}: {}", failed.at, failed.what, failed.why)).collect()
}

#[test]
fn what_holds_is_silent() {
    for (asserts, body) in [
        ("status == 200\nstatus < 300\nstatus != 404", ""),
        (
            "header \"Content-Type\" startsWith \"text/\"\nheader \"x-two\" contains \"b\"\nheader \"x-two\" count == 2",
            "",
        ),
        ("header \"nothing\" not exists\ncookie \"who\" == \"ann\"\ncookie \"x\" not exists", ""),
        (
            "body == \"one two\"\nbody contains \"e t\"\nbody endsWith \"two\"\nbody not isEmpty\nbody matches /^o\\w+/",
            "one two",
        ),
        ("bytes count == 3\nbytes startsWith hex,c3a9;\nregex /(\\d)/ == \"7\"", "é7"),
        (
            "jsonpath \"$.n\" == {{seven}}\njsonpath \"$.n\" >= 7\njsonpath \"$.f\" == 7.0\njsonpath \"$.t\" == \"{{name}}\"",
            r#"{"n":7,"f":7,"t":"Ann"}"#,
        ),
        (
            "jsonpath \"$.l\" count == 2\njsonpath \"$.l[*].a\" contains 2\njsonpath \"$.l\" nth 1 exists\njsonpath \"$.x\" not exists\njsonpath \"$.z\" == null",
            r#"{"l":[{"a":1},{"a":2}],"z":null}"#,
        ),
    ] {
        assert_eq!(failures(&format!("HTTP 200\n[Asserts]\n{asserts}"), body), [""; 0], "{asserts}");
    }
    assert_eq!(
        failures("HTTP *\nX-Two: a\nX-Two: b\n{ \"b\": [{{seven}}],\n\"a\": 1 }", r#"{"a":1,"b":[7]}"#),
        [""; 0]
    );
    assert_eq!(failures("HTTP 200\n`one`", "one"), [""; 0]);
}

#[test]
fn what_does_not_hold_says_what_is_so() {
    for (expected, body, failure) in [
        ("HTTP 404", "", "2:1 HTTP 404: the status is 200"),
        ("HTTP 200\nX-Two: c", "", "3:1 X-Two: c: the header is a | b"),
        ("HTTP 200\nX-None: c", "", "3:1 X-None: c: there is no such header"),
        ("HTTP 200\n[Asserts]\nbody == \"x\"", "y", "4:1 body == \"x\": expected: \"x\"\nactual:   \"y\""),
        ("HTTP 200\n[Asserts]\nbody not contains \"y\"", "y", "expected: not to contain \"y\""),
        ("HTTP 200\n[Asserts]\njsonpath \"$.a\" == \"1\"", r#"{"a":1}"#, "expected: \"1\"\nactual:   1"),
        ("HTTP 200\n[Asserts]\njsonpath \"$.b\" == 1", r#"{"a":1}"#, "expected: something: 1\nactual:   nothing"),
        ("HTTP 200\n[Asserts]\njsonpath \"$.a\" == 1", "<p>", "the body is not JSON"),
        ("HTTP 200\n[Asserts]\njsonpath \"$.a\" > \"x\"", r#"{"a":1}"#, "1 and \"x\" cannot be compared"),
        ("HTTP 200\n[Asserts]\njsonpath \"$.a\" count == 1", r#"{"a":1}"#, "count: 1 is not a list"),
        ("HTTP 200\n[Asserts]\nbody == \"{{nobody}}\"", "", "there is no variable `nobody`; there are: name, seven"),
        ("HTTP 200\n```\na\nb\nc\n```", "a\nX\nc\n", "4:1 the body: @@ line 2 @@\n  a\n- b\n+ X\n  c"),
        ("HTTP 200\n{\"a\": 1}", r#"{"a":2}"#, "-   \"a\": 1\n+   \"a\": 2"),
        ("HTTP 200\nfile,../x;", "", "`../x`: a path inside the test file's folder expected"),
        ("HTTP 200\nfile,x.html;", "", "x.html cannot be read"),
    ] {
        let failures = failures(expected, body).join("\n");
        let failure = failure.replace("4:1 the body", "3:1 the body");
        assert!(failures.contains(&failure), "{expected}: {failures}");
    }
}

#[test]
fn snapshots_are_compared_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        parse("t.hurl", "GET /\nHTTP 200\n[Asserts]\nbody == file,snapshots/a.txt;\n\nfile,snapshots/b.txt;").unwrap();
    let expected = file.entries[0].expected.as_ref().unwrap();
    let run = |body, update| check(expected, &answer(body), &Variables::new(), folder.path(), update);
    assert_eq!(run("one", false).failed.len(), 2);
    let written = run("one", true);
    assert_eq!((written.failed.len(), written.updated.len()), (0, 2));
    assert!(run("one", false).failed.is_empty() && run("one", true).updated.is_empty());
    let differs = run("two", false).failed;
    assert!(differs[0].why.contains("- one\n+ two") && differs[0].why.contains("--update"), "{differs:?}");
}
