use super::*;
use crate::hurl::file::{Body, Filter, Part, Predicate, Query};

const WHOLE: &str = r#"
# A comment.
GET {{host}}/search?q=vim # another
Accept: text/html
X-Hash: a#b \# c

HTTP 200
Content-Type: text/html; charset=utf-8
[Captures]
id: jsonpath "$.a[0]"
token: regex "value=\"(.*?)\""
[Asserts]
status < 400
header "x" not exists
body contains "two\nlines \u{e9}"
jsonpath "$.list" count == 3 # three
bytes count > 10
regex /^id=(\d+)\/x/ == "7"
body == file,snapshots/x.html;
body matches /a b/
`whole body`

POST /form
[Form]
a: 1
b: two words
[Cookies]
who: ann
[Options]
retry: 3
retry-interval: 20ms
location: true
HTTP *

POST /json
{
  "id": {{id}},
  "text": "}",
  "list": [1, 2]
}
HTTP 201
[1, {"a": "]"}]

PUT /multi
[Multipart]
text: hello
image: file,pic.png; image/png
plain: file,notes.txt;

POST /text
```
one
  two
```
HTTP 204
"#;

#[test]
fn a_file_is_read_as_it_is_meant() {
    let file = parse("a.hurl", WHOLE).unwrap();
    let methods: Vec<_> = file.entries.iter().map(|entry| (entry.at.line, entry.request.method.as_str())).collect();
    assert_eq!(methods, [(3, "GET"), (23, "POST"), (35, "POST"), (44, "PUT"), (50, "POST")]);

    let host = [("host".to_owned(), crate::hurl::Value::text("http://h"))].into();
    let render = |template: &Template| template.render(&host).unwrap();
    let first = &file.entries[0];
    assert_eq!(render(&first.request.target), "http://h/search?q=vim");
    let headers: Vec<_> = first.request.headers.iter().map(|field| render(&field.value)).collect();
    assert_eq!(headers, ["text/html", "a#b # c"]);
    let expected = first.expected.as_ref().unwrap();
    assert_eq!((expected.status, expected.captures.len(), expected.asserts.len()), (Some(200), 2, 8));
    let assert = |at: usize| &expected.asserts[at];
    assert!(matches!(assert(0).predicate, Predicate::Less(_)) && matches!(assert(0).subject.query, Query::Status));
    assert!(assert(1).not && matches!(assert(1).predicate, Predicate::Exists));
    assert!(matches!(assert(3).subject.filters[..], [Filter::Count]));
    assert_eq!(assert(3).at, Position { line: 16, column: 1 });
    let Query::Regex(regex) = &assert(5).subject.query else { panic!() };
    assert_eq!(regex.as_str(), r"^id=(\d+)/x");
    assert!(matches!(&expected.body, Some((_, Body::Text(text))) if render(text) == "whole body"));

    let form = &file.entries[1].request;
    assert_eq!(form.form.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((form.options.retry, form.options.location, form.cookies.len()), (3, true, 1));
    assert_eq!(form.options.retry_interval, Duration::from_millis(20));
    assert_eq!(file.entries[1].expected.as_ref().unwrap().status, None);

    let Some(Body::Json(json)) = &file.entries[2].request.body else { panic!() };
    let variables = [("id".to_owned(), crate::hurl::Value::number(7))].into();
    let json: serde_json::Value = serde_json::from_str(&json.render(&variables).unwrap()).unwrap();
    assert_eq!(json, serde_json::json!({ "id": 7, "text": "}", "list": [1, 2] }));
    assert!(matches!(&file.entries[2].expected.as_ref().unwrap().body, Some((_, Body::Json(_)))));

    let parts = &file.entries[3].request.multipart;
    assert!(matches!(&parts[0].1, Part::Text(text) if render(text) == "hello"));
    assert!(matches!(&parts[1].1, Part::File { path, content_type: Some(kind) }
        if render(path) == "pic.png" && render(kind) == "image/png"));
    assert!(matches!(&parts[2].1, Part::File { content_type: None, .. }));
    assert!(matches!(&file.entries[4].request.body, Some(Body::Text(text)) if render(text) == "one\n  two\n"));
}

#[test]
fn what_is_wrong_or_not_supported_is_named_with_its_place() {
    for (text, expected) in [
        ("hello", "t.hurl:1:1: `hello` is not a request"),
        ("GET", "t.hurl:1:1: `GET` is not a request"),
        ("GET here", "t.hurl:1:5: an address expected"),
        ("GET /\nHTTP/1.1 200", "t.hurl:2:5: the version of HTTP is not looked at"),
        ("GET /\nHTTP twenty", "t.hurl:2:6: `twenty` is not a status"),
        ("GET /\nHTTP 200 OK", "t.hurl:2:10: `OK` is not expected here"),
        ("GET /\n[BasicAuth]\na: b", "t.hurl:2:1: [BasicAuth] is not supported in a request"),
        ("GET /\nHTTP 200\n[Things]", "t.hurl:3:1: [Things] is not supported in an answer"),
        ("GET /\n[Options]\ninsecure: true", "t.hurl:3:1: the option `insecure` is not supported"),
        ("GET /\n[Options]\nretry: often", "t.hurl:3:1: retry: `often` is not a number"),
        ("GET /\nHTTP 200\n[Asserts]\nxpath \"//a\" exists", "t.hurl:4:1: `xpath` is not supported"),
        ("GET /\nHTTP 200\n[Asserts]\n\nduration < 100", "t.hurl:5:1: `duration` is not supported"),
        ("GET /\nHTTP 200\n[Asserts]\nbody includes \"x\"", "t.hurl:4:6: `includes` is not supported"),
        ("GET /\nHTTP 200\n[Asserts]\nbody toInt == 1", "t.hurl:4:6: `toInt` is not supported"),
        ("GET /\nHTTP 200\n[Asserts]\njsonpath \"$..a\" == 1", "t.hurl:4:10: jsonpath `$..a`: `..` is not supported"),
        ("GET /\nHTTP 200\n[Asserts]\nbody matches /(/", "t.hurl:4:14: it is not a regular expression"),
        ("GET /\nHTTP 200\n[Asserts]\nregex /a/ == \"x\"", "t.hurl:4:6: the expression has no group"),
        ("GET /\nHTTP 200\n[Asserts]\nstatus == twenty", "t.hurl:4:11: `twenty` is not a value"),
        ("GET /\nHTTP 200\n[Asserts]\nbody == \"x", "t.hurl:4:9: the text has no end"),
        ("GET /\nHTTP 200\n[Asserts]\nbody == \"\\q\"", "t.hurl:4:10: `\\q` stands for nothing"),
        ("GET /\nHTTP 200\n[Asserts]\ncookie \"a[Path]\" exists", "attributes of a cookie are not supported"),
        ("GET /\nHTTP 200\n[Captures]\na: body toInt", "t.hurl:4:9: `toInt` is not supported in a capture"),
        ("GET /{{x", "t.hurl:1:5: `{{` without `}}`"),
        ("GET /{{a b}}", "the name of a variable expected"),
        ("GET /\nno colon here", "t.hurl:2:1: `no colon here` is not `name: value`"),
        ("POST /\n{\"a\": 1", "t.hurl:2:1: the JSON has no end"),
        ("POST /\n```\nopen", "t.hurl:2:1: the text has no end"),
        ("POST /\nbase64,xx;", "a body that begins with `base64,` is not supported"),
        ("POST /\n<a/>", "a body that begins with `<` is not supported"),
        ("POST /\n[Form]\na: b\n{}", "t.hurl:4:1: one request has one body"),
        ("POST /\n```graphql\nx\n```", "a body of ```graphql is not supported"),
        ("POST /\nfile,open", "t.hurl:2:1: `file,` without its end"),
        ("GET /\nHTTP 200\n\n\"a\" and more", "t.hurl:4:5: `and more` is not expected here"),
    ] {
        let error = parse("t.hurl", text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    assert!(parse("t.hurl", "").unwrap().entries.is_empty());
    assert_eq!(parse("t.hurl", "\u{feff}# nothing\r\n\r\nGET /\r\nHTTP 200\r\n").unwrap().entries.len(), 1);
}
