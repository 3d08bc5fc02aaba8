use super::*;

fn rows() -> Rows {
    Rows {
        query: "packages".into(),
        columns: ["id", "name", "stars", "tags"].map(str::to_owned).into(),
        cells: [(1, "vim", 4.5, "[\"editor\"]").into_values(), (2, None::<&str>, 3, "[]").into_values()].concat(),
    }
}

fn one(column: &str, value: Value) -> Rows {
    Rows { query: "one".into(), columns: vec![column.into()], cells: vec![value] }
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
    let mut rows = rows();
    rows.columns[2] = "type".into();
    rows.cells[2] = Value::Null;
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
    let rows = Rows { query: "none".into(), columns: vec!["size".into()], cells: vec![] };
    assert_eq!(rows.len(), 0);
    assert!(rows.row::<Sized>().unwrap().is_none() && rows.rows::<Sized>().unwrap().is_empty());
}
