//! The harness for tests in Rust: an app on a site of its own.

mod support;

use http::Method;
use nearside_local::testing::Site;

#[test]
fn a_visitor_keeps_cookies_and_sees_what_they_wrote() {
    let site = Site::of(support::module("packages")).unwrap();
    site.seed_sql(include_str!("../../modules/packages/tests/seed.sql")).unwrap();
    let posted =
        site.post_form("/package/vim/reviews", &[("author", "Ann"), ("rating", "5"), ("body", "So & so.")]).unwrap();
    assert_eq!(posted.status, 303, "{}", posted.text());
    assert!(posted.has_written() && posted.cookie("nearside-receipt").is_some());
    let page = site.request(Method::GET, &posted.header("location"), &[("accept", "text/html")], "").unwrap();
    assert!(page.text().contains("So &amp; so."), "{}", page.text());

    site.wait_for_release().unwrap();
    let program = site.request(Method::GET, "/package/vim", &[("accept", "application/json")], "").unwrap();
    assert_eq!(program.json().unwrap()["rating"]["reviews"], 1);
}

#[test]
fn each_site_has_its_own_data_and_says_what_its_guests_said() {
    let app = support::module("probe");
    let (one, other) = (Site::of(&app).unwrap(), Site::of(&app).unwrap());
    one.seed_sql("UPDATE \"left\" SET n = 7; UPDATE \"right\" SET n = 7;").unwrap();
    assert_eq!(one.get("/pair").unwrap().text(), "7 7\n");
    assert_eq!(other.get("/pair").unwrap().text(), "0 0\n");
    let wrong = one.seed_sql("INSERT INTO nowhere VALUES (1)").unwrap_err().to_string();
    assert!(wrong.contains("seed:1: no such table: nowhere"), "{wrong}");

    let trapped = one.get("/trap").unwrap();
    assert_eq!(trapped.status, 500);
    let log = one.log_of(&trapped).join("\n");
    assert!(log.contains("trap"), "{log}");
    assert_eq!(one.get("/hello").unwrap().text(), "hello\n");
}
