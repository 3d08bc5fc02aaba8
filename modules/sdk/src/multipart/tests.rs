use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=\"x.y\"";

fn parse(body: impl Into<Vec<u8>>) -> Result<Multipart, Error> {
    Multipart::parse(TYPE, body.into(), &Limits::from(1 << 20))
}

fn field(name: &str, value: &str) -> String {
    format!("--x.y\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(name: &str, file_name: &str, content: &str) -> String {
    format!(
        "--x.y\r\ncontent-type: Image/PNG; a=b\r\n\
         content-disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\r\n{content}\r\n"
    )
}

#[test]
fn fields_and_files_are_apart() {
    let picture = file("picture", "me & you.png", "\u{1}\r\n--x.yz\r\n--x\r\n");
    let body = field("note", "zwei\r\nwörter") + &picture + &field("note", "") + "--x.y--\r\nepilogue";
    let form = parse(body).unwrap();
    assert_eq!(form.fields().all("note").collect::<Vec<_>>(), ["zwei\r\nwörter", ""]);
    let picture = form.file("picture").unwrap();
    assert_eq!((picture.name, picture.media_type), ("me & you.png", "image/png"));
    assert_eq!(picture.bytes, b"\x01\r\n--x.yz\r\n--x\r\n");
    assert!(form.file("note").is_none() && form.fields().get("picture").is_none());
}

#[test]
fn a_file_input_left_empty_is_no_file() {
    assert!(parse(file("picture", "", "") + "--x.y--").unwrap().file("picture").is_none());
    let nameless = parse(file("picture", "", "content") + "--x.y--").unwrap();
    assert_eq!(nameless.file("picture").unwrap().bytes, b"content");
}

#[test]
fn several_files_of_a_field_come_in_order() {
    let form = parse(file("f", "a", "1") + &file("g", "b", "2") + &file("f", "c", "3") + "--x.y--").unwrap();
    assert_eq!(form.files("f").map(|file| file.name).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn an_empty_form_and_a_preamble_are_fine() {
    assert_eq!(parse("--x.y--\r\n").unwrap().fields().iter().count(), 0);
    let form = parse(format!("preamble\r\n--x.yz\r\n{}--x.y--", field("a", "1"))).unwrap();
    assert_eq!(form.fields().get("a"), Some("1"));
    let padded = field("a", "1").replacen("--x.y\r\n", "--x.y \t\r\n", 1);
    assert_eq!(parse(padded + "--x.y--").unwrap().fields().get("a"), Some("1"));
}

#[test]
fn names_of_files_are_harmless() {
    let name = |sent: &str| parse(file("f", sent, "x") + "--x.y--").unwrap().file("f").unwrap().name.to_owned();
    assert_eq!(name("../../etc/passwd"), "passwd");
    assert_eq!(name("C:\\Users\\me\\a.txt"), "a.txt");
    assert_eq!(name(".."), "");
    assert_eq!(name("a%22b%0D%0A.txt"), "a\"b.txt");
    assert_eq!(name("a\\\"b; name=\\\"c.txt"), "a\"b; name=\"c.txt");
    assert_eq!(name("\u{202e}gpj.exe\u{0}"), "gpj.exe");
    assert_eq!(name(&"ü".repeat(200)).len(), 254);
}

#[test]
fn a_type_that_is_none_is_unknown() {
    let media_type = |sent: &str| {
        let body = file("f", "a", "x").replace("Image/PNG; a=b", sent) + "--x.y--";
        parse(body).unwrap().file("f").unwrap().media_type.to_owned()
    };
    assert_eq!(media_type("text/plain; charset=utf-8"), "text/plain");
    for strange in ["", "text", "text/", "text/html, text/plain", "a b/c", "text/\"x\""] {
        assert_eq!(media_type(strange), "application/octet-stream", "{strange}");
    }
}

#[test]
fn what_is_broken_is_said() {
    let malformed = |body: &str, expected: &str| {
        let error = parse(body).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{body:?}: {error}");
    };
    malformed("", "the boundary is not in the body");
    malformed("--x.y", "the boundary is not in the body");
    malformed("--x.y\r\n", "it ends within the head");
    malformed("--x.y\r\nContent-Disposition: form-data; name=a\r\n\r\nb", "before its last boundary");
    malformed("--x.y\r\n\r\nb\r\n--x.y--", "no Content-Disposition");
    malformed("--x.y\r\nContent-Disposition: inline; name=a\r\n\r\nb\r\n--x.y--", "no form-data");
    malformed("--x.y\r\nContent-Disposition: form-data\r\n\r\nb\r\n--x.y--", "no name");
    malformed(&format!("--x.y\r\n{}", "a".repeat(5000)), "too long");
    for content_type in
        ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a\u{1}"]
    {
        assert_eq!(Multipart::parse(content_type, vec![], &Limits::from(10)).err(), Some(Error::NoBoundary));
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    assert_eq!(Multipart::parse(&long, vec![], &Limits::from(10)).err(), Some(Error::NoBoundary));
}

#[test]
fn each_limit_holds() {
    let body = field("a", "12345") + &file("b", "b", "1234567") + "--x.y--";
    let limits = Limits { total_bytes: body.len(), file_bytes: 7, field_bytes: 5, parts: 2 };
    let error = |limits| Multipart::parse(TYPE, body.clone().into_bytes(), &limits).err();
    assert_eq!(error(limits), None);
    assert_eq!(error(Limits { parts: 1, ..limits }), Some(Error::TooManyParts { max: 1 }));
    let too_large = |name: &str, max_bytes| Some(Error::PartTooLarge { name: name.into(), max_bytes });
    assert_eq!(error(Limits { field_bytes: 4, ..limits }), too_large("a", 4));
    assert_eq!(error(Limits { file_bytes: 6, ..limits }), too_large("b", 6));
    let max_bytes = body.len() - 1;
    assert_eq!(error(Limits { total_bytes: max_bytes, ..limits }), Some(Error::TooLarge { max_bytes }));
    assert_eq!(crate::Error::from(Error::TooManyParts { max: 1 }).status(), 413);
}

/// Pieces that parsers stumble over, in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"--x.y".to_vec()),
        Just(b"--".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\r\n--x.y\r\n".to_vec()),
        Just(b"Content-Disposition: form-data; name=\"a\"".to_vec()),
        Just(b"; filename=\"a\\\"".to_vec()),
        Just(b"Content-Type: ".to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_panics_or_goes_beyond_its_limit(body in pieces(), max in 0_usize..64, parts in 0_usize..4) {
        let limits = Limits { total_bytes: 400, file_bytes: max, field_bytes: max, parts };
        if let Ok(form) = Multipart::parse(TYPE, body.clone(), &limits) {
            let files = form.files.iter().map(|file| form.body[file.bytes.clone()].len());
            let lengths: Vec<usize> = files.collect();
            prop_assert!(body.len() <= 400);
            prop_assert!(lengths.iter().all(|length| *length <= max));
            prop_assert!(lengths.len() + form.fields.iter().count() <= parts);
            prop_assert!(lengths.iter().sum::<usize>() <= body.len());
        }
    }

    #[test]
    fn no_content_type_panics(content_type in "\\PC{0,40}", rest in "[;= \"\\\\a-z]{0,20}") {
        let _ = Multipart::parse(&content_type, vec![], &Limits::from(10));
        let _ = Multipart::parse(&format!("multipart/form-data; boundary={rest}"), vec![], &Limits::from(10));
    }

    #[test]
    fn what_is_sent_arrives(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let mut body = Vec::new();
        for content in &contents {
            body.extend(b"--x.y\r\nContent-Disposition: form-data; name=f; filename=n\r\n\r\n");
            body.extend(content);
            body.extend(b"\r\n");
        }
        body.extend(b"--x.y--\r\n");
        // Random bytes hardly ever hold the boundary.
        prop_assume!(contents.iter().all(|content| !content.windows(5).any(|window| window == b"--x.y")));
        let form = parse(body).unwrap();
        prop_assert_eq!(form.files("f").map(|file| file.bytes.to_vec()).collect::<Vec<_>>(), contents);
    }
}
