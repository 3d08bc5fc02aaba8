use super::*;

/// A result as the host lays it out.
fn result(query: &str, columns: &[&str], cells: &[Value]) -> Rows {
    let (mut names, mut texts, mut blobs) = (Vec::new(), String::new(), Vec::new());
    for column in columns {
        texts.push_str(column);
        names.push(texts.len() as u32);
    }
    let span = |start: usize, end: usize| (start as u64) << 32 | end as u64;
    let cell = |value: &Value| match value {
        Value::Null => (0, 0),
        Value::Integer(number) => (1, *number as u64),
        Value::Real(number) => (2, number.to_bits()),
        Value::Text(text) => {
            texts.push_str(text);
            (3, span(texts.len() - text.len(), texts.len()))
        }
        Value::Blob(bytes) => {
            blobs.extend_from_slice(bytes);
            (4, span(blobs.len() - bytes.len(), blobs.len()))
        }
    };
    let (kinds, words) = cells.iter().map(cell).unzip();
    Rows::new(query, types::FlatRows { names, kinds, words, texts, blobs })
}

fn cells() -> Vec<Value> {
    [(1, "vim", 4.5, "[\"editor\"]").into_values(), (2, None::<&str>, 3, "[]").into_values()].concat()
}

fn rows() -> Rows {
    result("packages", &["id", "name", "stars", "tags"], &cells())
}

fn one(column: &str, value: Value) -> Rows {
    result("one", &[column], &[value])
}

#[test]
fn rows_become_what_a_closure_makes() {
    let read = |row: Row<'_>| Ok((row.get::<u32>("id")?, row.get::<Option<String>>("name")?, row.get("stars")?));
    let read = rows().map(read).unwrap();
    assert_eq!(read, [(1, Some("vim".into()), 4.5), (2, None, 3.0)]);
}

#[derive(Debug, PartialEq, Row)]
struct Package {
    // Not in the order of the columns.
    stars: f64,
    id: u32,
    #[row(rename = "name")]
    title: Option<String>,
    tags: Json<Vec<String>>,
    #[row(skip)]
    note: String,
}

#[test]
fn rows_become_structs() {
    let packages: Vec<Package> = rows().rows().unwrap();
    let package = |id, title: Option<&str>, stars, tags: &[&str]| Package {
        id,
        title: title.map(str::to_owned),
        stars,
        tags: Json(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        note: String::new(),
    };
    assert_eq!(packages, [package(1, Some("vim"), 4.5, &["editor"]), package(2, None, 3.0, &[])]);
    assert_eq!(rows().row::<Package>().unwrap().unwrap().id, 1);
}

#[derive(Debug, PartialEq, Row)]
struct Borrowed<'a> {
    #[row(default)]
    name: &'a str,
    #[row(flatten)]
    rest: Rest,
    r#type: Option<bool>,
}

#[derive(Debug, PartialEq, Row)]
struct Rest {
    id: i64,
}

#[test]
fn structs_may_borrow_nest_and_have_defaults() {
    let mut cells = cells();
    cells[2] = Value::Null;
    let rows = result("packages", &["id", "name", "type", "tags"], &cells);
    let read: Vec<Borrowed<'_>> = rows.rows().unwrap();
    assert_eq!(read[0], Borrowed { name: "vim", rest: Rest { id: 1 }, r#type: None });
    assert_eq!(read[1], Borrowed { name: "", rest: Rest { id: 2 }, r#type: Some(true) });
}

#[derive(Debug, Row)]
#[allow(dead_code)]
struct Sized {
    size: u32,
}

#[test]
fn what_does_not_fit_is_named() {
    let error = |rows: Rows| rows.rows::<Sized>().unwrap_err().to_string();
    assert_eq!(error(rows()), "sql: packages: the rows have no column size");
    assert_eq!(
        error(one("size", Value::Null)),
        "sql: one: column size should read as u32, but is NULL: an Option takes that"
    );
    assert_eq!(
        error(one("size", Value::Text("many".into()))),
        "sql: one: column size should read as u32, but is text of 4 bytes"
    );
    let rows = rows();
    let error = |result: Result<Option<i64>, Error>| result.unwrap_err().to_string();
    assert_eq!(error(rows.first(|row| row.get("size"))), "sql: packages: the rows have no column size");
}

#[test]
fn a_number_out_of_range_is_an_error_that_shows_it() {
    let rows = one("n", Value::Integer(300));
    let error = rows.first(|row| row.get::<u8>("n")).unwrap_err().to_string();
    assert_eq!(error, "sql: one: column n should read as u8, but is the integer 300");
}

#[test]
fn json_of_another_shape_is_an_error() {
    let read = |text: &str| one("tags", Value::from(text)).first(|row| row.get::<Json<Vec<String>>>("tags"));
    assert_eq!(read("[\"a\"]").unwrap(), Some(Json(vec!["a".to_owned()])));
    assert!(read("[1]").is_err() && read("").is_err());
}

#[test]
fn no_rows_are_no_rows() {
    let rows = result("none", &["size"], &[]);
    assert_eq!(rows.len(), 0);
    assert!(rows.row::<Sized>().unwrap().is_none() && rows.rows::<Sized>().unwrap().is_empty());
}

#[test]
fn blobs_are_read_where_they_lie() {
    let blob = |bytes: &[u8]| Value::Blob(bytes.to_owned());
    let rows = result("blobs", &["a", "b"], &[blob(b"one"), blob(b""), blob(b"two"), Value::from("x")]);
    let read: Vec<(&[u8], Option<Vec<u8>>)> =
        rows.map(|row| Ok((row.get("a")?, row.get("b").unwrap_or_default()))).unwrap();
    assert_eq!(read, [(&b"one"[..], Some(Vec::new())), (&b"two"[..], None)]);
}

#[test]
fn a_place_outside_its_piece_is_an_error_and_no_panic() {
    let mut rows = one("name", Value::from("vim"));
    rows.flat.words[0] = 4 << 32 | 100;
    assert!(rows.first(|row| row.get::<&str>("name")).is_err());
    rows.flat.names[0] = 100;
    assert!(rows.first(|row| row.get::<&str>("name")).is_err());
}
