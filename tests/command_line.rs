//! What an operator types, and what is said when it cannot be done.

mod support;

use std::{fs, net::TcpListener, path::Path};

use support::{
    App, Site, eventually, http, module, packages, probe,
    process::{run, text},
};

#[test]
fn every_command_has_a_manual_page_with_an_example() {
    let page = |arguments: &[&str]| {
        let shown = run(arguments);
        shown.went_well();
        shown.out
    };
    let overview = page(&["--help"]);
    for command in ["build", "check", "host", "new", "origin", "push", "status"] {
        assert!(overview.contains(&format!("  {command} ")), "{overview}");
        let manual = page(&[command, "--help"]);
        assert!(manual.contains("Example") && manual.contains(&format!("  nearside {command} ")), "{manual}");
        assert_eq!(page(&["help", command]), manual);
    }
}

#[test]
fn a_setting_nobody_knows_is_named_with_its_line_before_anything_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    // Were a port bound first, it would be this one, and the error another.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let file = folder.path().join("settings.toml");
    for (command, settings, told) in [
        ("host", "lisen = \"127.0.0.1:0\"", ["settings.toml:2: ", "`lisen`"]),
        ("host", "cache_mib = \"many\"", ["settings.toml:2: ", "\"many\""]),
        ("origin", "data = \"d\"\ntoken = \"x\"", ["settings.toml:3: ", "`token`"]),
        ("origin", "data = \"d\"\n[apps.probe]\nalow_private = []", ["settings.toml:4: ", "`alow_private`"]),
    ] {
        fs::write(&file, format!("listen = \"{listen}\"\n{settings}\n")).unwrap();
        run(&[command, "--config", text(&file)]).failed_with(&told);
    }
    assert!(!folder.path().join("d").exists(), "nothing was made");
    run(&["host", "--config", text(&folder.path().join("none.toml"))]).failed_with(&["none.toml"]);
}

#[test]
fn a_port_or_a_folder_in_use_is_named() {
    let site = Site::start(&[], &[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = site.folder.path().join("other");
    let bound = format!("cannot listen on {address}");
    run(&["origin", "--listen", &address, "--data", text(&data)]).failed_with(&[&bound]);
    run(&["host", "--listen", &address, "--admin", "127.0.0.1:0", "--data", text(&data)]).failed_with(&[&bound]);
    run(&["host", "--listen", "127.0.0.1:0", "--admin", &address, "--data", text(&data)]).failed_with(&[&bound]);

    let data = site.origin.data();
    run(&["origin", "--listen", "127.0.0.1:0", "--data", text(&data)]).failed_with(&[text(&data)]);
    assert!(site.origin.status()["version"].is_string(), "the first one goes on");
}

#[test]
fn an_origin_that_is_not_there_or_does_not_know_us_is_told_clearly() {
    let site = Site::start(&[], &[]);
    let app = module("hello");
    let token = site.folder.path().join("wrong");
    fs::write(&token, "not-the-token\n").unwrap();
    let push = |origin: &str, token: &Path| run(&["push", text(&app), "--origin", origin, "--token-file", text(token)]);
    push(&site.origin.url(), &token).failed_with(&[
        "the origin refuses: Unauthorized",
        "none of this origin's",
        "in the origin's data folder",
    ]);
    run(&["push", text(&app), "--origin", &site.origin.url()]).failed_with(&["Unauthorized"]);
    push(&site.origin.url(), &site.folder.path().join("none")).failed_with(&["the token file", "none"]);
    fs::write(&token, "\n").unwrap();
    push(&site.origin.url(), &token).failed_with(&["holds no token"]);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    push(&url, &site.origin.token_file()).failed_with(&[&url, "does not answer"]);
    push("ftp://here", &site.origin.token_file())
        .failed_with(&["ftp://here", "`http://host:port` or `https://host` expected"]);
    let status = run(&["status", "--origin", &url, "--token-file", text(&site.origin.token_file())]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.out.contains(&url) && status.out.contains("does not answer"), "{status:?}");
}

#[test]
fn what_is_neither_an_app_nor_data_is_not_pushed() {
    let site = Site::start(&[], &[]);
    let empty = site.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    site.origin.push(&empty).failed_with(&[text(&empty), "neither an app's folder (with a nearside.toml) nor a file"]);
    let file = packages::catalogue(site.folder.path(), &["hammer"]);
    site.origin.push(&file).failed_with(&["say by --app NAME whose data it is"]);
    site.origin.push_data(&file, "packages").failed_with(&["no app `packages` here: push it first"]);
    site.origin.operator(&["push", text(&module("hello")), "--app", "probe"]).failed_with(&["is the app `hello`"]);
}

#[test]
fn nothing_is_wrong_with_the_apps_there_are() {
    for app in ["packages", "probe", "hello"] {
        let checked = run(&["check", text(&module(app))]);
        assert_eq!((checked.code, checked.out.as_str()), (Some(0), ""), "{app}: {checked:?}");
        assert!(checked.err.contains("nothing to say"), "{checked:?}");
        let machine = run(&["check", "--json", text(&module(app))]);
        assert_eq!((machine.code, machine.out.trim()), (Some(0), "[]"), "{app}: {machine:?}");
    }
}

#[test]
fn findings_are_for_people_and_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("probe", folder.path());
    app.replace("queries.sql", "WHERE id = 1", "WHERE ident = 1");
    let machine = run(&["check", "--json", text(app.path())]);
    assert_eq!(machine.code, Some(1));
    let findings: serde_json::Value = serde_json::from_str(&machine.out).unwrap();
    let finding = &findings[0];
    assert_eq!((finding["file"].as_str(), finding["line"].as_u64()), (Some("queries.sql"), Some(2)), "{findings}");
    assert_eq!((finding["rule"].as_str(), finding["severity"].as_str()), (Some("query-invalid"), Some("error")));
    assert!(finding["what"].as_str().unwrap().contains("no such column: ident"), "{findings}");
}

#[test]
fn warnings_fail_a_check_only_if_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("probe", folder.path());
    app.append("queries.sql", "\n-- name: all\nSELECT n FROM \"left\";\n");
    let shown = run(&["check", "--plans", text(app.path())]);
    shown.went_well();
    assert!(shown.out.contains("all  queries.sql:") && shown.out.contains("└─ SCAN left\n"), "{shown:?}");
    assert!(shown.out.contains("[query-plan-scan]") && shown.err.contains("1 warning; it can be pushed"), "{shown:?}");
    assert_eq!(run(&["check", "--strict", text(app.path())]).code, Some(1));
}

#[test]
fn build_runs_the_apps_own_command_and_looks_for_what_it_makes() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("hello", folder.path());
    let command = "cargo build --release --target wasm32-wasip2";
    app.replace("nearside.toml", command, "mv hello.wasm built.wasm && mv built.wasm hello.wasm && touch ran");
    let built = run(&["build", text(app.path())]);
    built.went_well();
    assert!(built.out.starts_with("hello: 1 components") && app.path().join("ran").exists(), "{built:?}");
    app.replace("nearside.toml", "touch ran", "rm hello.wasm");
    run(&["build", text(app.path())]).failed_with(&["component `hello` is not there"]);
    app.replace("nearside.toml", "mv hello.wasm built.wasm", "exit 3");
    run(&["build", text(app.path())]).failed_with(&["the build command of `hello` failed", "3"]);
}

#[test]
fn one_node_serves_several_apps_by_their_host_names() {
    let site = Site::start(&[&module("packages"), &module("hello"), &module("probe")], &["a"]);
    let a = &site.nodes[0];
    let body = |name: &str, path: &str| {
        let answer = a.get(name, path);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        answer.text()
    };
    assert!(body("hello.localhost", "/?name=Ada").contains("Hello, Ada!"));
    assert!(body("HELLO.localhost:8080", "/").contains("Hello, world!"));
    assert_eq!(body(probe::SITE, "/hello"), "hello\n");
    assert!(body(packages::SITE, "/").contains("<!DOCTYPE html>"));
    assert_eq!(body("127.0.0.1", "/"), body(packages::SITE, "/"), "its other name");
    assert_eq!(a.get("nobody.localhost", "/").status, 404);
    assert_eq!(a.get("hello.localhost", "/pair").status, 404, "the probe's page");
    probe::bump(a.address);

    let status = site.origin.operator(&["status", "--node", &format!("http://{}", a.admin)]);
    status.went_well();
    for word in ["hello  release 1.1", "packages  release 1.1", "probe  release 1.", "node a http://"] {
        assert!(status.out.contains(word), "no `{word}` in:\n{}", status.out);
    }
}

#[test]
fn static_files_come_with_an_etag_of_their_release() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("hello", &folder.path().join("app"));
    app.replace("nearside.toml", "name = \"hello\"", "static = \"files\"\nname = \"hello\"");
    app.write("files/css/site.css", "body { color: red }\n");
    let site = Site::start(&[app.path()], &["a"]);
    let a = &site.nodes[0];
    let get = |path: &str, etag: &str| a.request("hello.localhost", "GET", path, &[("If-None-Match", etag)], "");
    let answer = get("/static/css/site.css", "\"other\"");
    assert_eq!((answer.status, answer.text().as_str()), (200, "body { color: red }\n"));
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    let etag = answer.header("etag").to_owned();
    let unchanged = get("/static/css/site.css", &etag);
    assert_eq!((unchanged.status, unchanged.body.len(), unchanged.header("etag")), (304, 0, etag.as_str()));
    for path in ["/static/css/../../nearside.toml", "/static/%2e%2e/nearside.toml", "/static/css", "/static/none.css"] {
        let status = get(path, "").status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(
        http::request(a.address, "hello.localhost", "POST", "/static/css/site.css", &[], "x").unwrap().status,
        405
    );

    app.write("files/css/site.css", "body { color: blue }\n");
    site.origin.push(app.path()).went_well();
    let changed = eventually("the new file is served", || {
        Some(get("/static/css/site.css", &etag)).filter(|answer| answer.status == 200)
    });
    assert_eq!(changed.text(), "body { color: blue }\n");
}
