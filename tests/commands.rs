mod support;
use support::{Site, probe};
use std::time::Instant;

#[test]
fn try_it() {
    let t = Instant::now();
    let site = Site::probe(&["a"]);
    println!("start {:?}", t.elapsed());
    let a = site.nodes[0].address;
    let big = format!("{{\"x\":\"{}\"}}", "x".repeat(300_000));
    let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(1_100_000));
    for (name, payload) in [("loop","{}"),("trap","{}"),("hog","{}"),("sql-runaway","{}"),("bad-sql","{}"),("reject","{}"),("big-reply","{\"bytes\":100000}"),("big-reply","{\"bytes\":1000000000}"),("nope","{}"),("bump","{\"by\":0}"),("bump","{"),("bump",&big),("bump",&huge),("reject","[]")] {
        let t = Instant::now();
        let x = probe::command(a, name, payload, &[]);
        println!("{name} {} {:?} {}", x.status, t.elapsed(), &x.text().chars().take(300).collect::<String>());
        let t = Instant::now();
        let b = probe::bump(a);
        println!("  bump {} {} {:?}", b.n, b.receipt, t.elapsed());
        let t = Instant::now();
        println!("  {} {:?}", probe::own_pair(a, &b), t.elapsed());
    }
    println!("{}", site.origin.process.log_text());
    println!("{}", site.nodes[0].process.log_text());
}
