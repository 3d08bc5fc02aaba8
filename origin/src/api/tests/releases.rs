//! Releases as operators and nodes ask for them: listed, in pieces, gone back to, and made of a pushed file.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn releases_are_listed_given_out_by_pieces_and_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap();
    let second = origin.push("/v1/apps/shop/data", data(&["a", "b"])).await.unwrap();
    assert!(second.cost.is_some_and(|cost| cost.starts_with("page delta: ")));
    origin.push("/v1/apps/shop/data", data(&["a", "b", "c"])).await.unwrap();
    let list = async || -> Releases {
        serde_json::from_slice(&origin.send(Method::GET, "/v1/apps/shop/releases", "").await.unwrap()).unwrap()
    };
    let Releases { held, releases, .. } = list().await;
    let seqs: Vec<u64> = releases.iter().map(|info| info.release.seq).collect();
    assert_eq!((held, seqs), (None, vec![3, 2, 1]));
    let roots: Vec<Digest> = releases.iter().map(|info| info.root).collect();
    assert!(releases[0].delta_bytes.is_some() && releases[2].base.is_some());

    // A delta that was published, one that was not, and a base that was not; whole and by range.
    for path in [
        format!("deltas/{}.{}", roots[1], roots[0]),
        format!("deltas/{}.{}", roots[2], roots[0]),
        format!("deltas/{}.{}", roots[0], roots[2]),
        format!("bases/{}", roots[0]),
    ] {
        let path = format!("/v1/apps/shop/{path}");
        let all = origin.send(Method::GET, &path, "").await.unwrap();
        assert_eq!(&all[..4], b"NSPG", "{path}");
        let ranged = async |range: &str, if_range: &str| {
            let request = origin.client.request(Method::GET, &path).header("range", range).header("if-range", if_range);
            origin.client.send(request.body(bytes("")).unwrap(), WAIT).await
        };
        let first = origin.client.request(Method::GET, &path).body(bytes("")).unwrap();
        let tag = origin.client.send(first, WAIT).await.unwrap().headers()["etag"].to_str().unwrap().to_owned();
        let rest = ranged("bytes=50-", &tag).await.unwrap();
        assert_eq!(rest.status(), 206);
        assert_eq!(
            rest.headers()["content-range"].to_str().unwrap(),
            format!("bytes 50-{}/{}", all.len() - 1, all.len())
        );
        assert_eq!(whole(rest, 1 << 20).await.unwrap(), all[50..]);
        let other = ranged("bytes=50-", "\"other\"").await.unwrap();
        assert_eq!((other.status(), whole(other, 1 << 20).await.unwrap().to_vec()), (StatusCode::OK, all.clone()));
        assert!(ranged("bytes=999999-", &tag).await.is_err());
    }
    let file = origin.send(Method::GET, &format!("/v1/apps/shop/snapshots/{}", roots[0]), "").await.unwrap();
    let pages = origin.send(Method::GET, &format!("/v1/apps/shop/pages/{}?numbers=2,0", roots[0]), "").await.unwrap();
    assert!(pages[..4096] == file[8192..12288] && pages[4096..] == file[..4096]);
    let diff = origin.send(Method::GET, "/v1/apps/shop/diff/1.1/1.3", "").await.unwrap();
    let diff: Difference = serde_json::from_slice(&diff).unwrap();
    assert!(diff.same_app && diff.changed_pages > 0 && diff.delta_bytes > 0, "{diff:?}");
    let unknown = Digest::of(b"");
    for (path, expected) in [
        (format!("deltas/{unknown}.{}", roots[0]), "404: `shop` does not keep what deltas/af13"),
        (format!("deltas/{unknown}"), "404: there is nothing"),
        (format!("bases/{unknown}"), "404: `shop` does not keep what bases/af13"),
        (format!("pages/{}?numbers=99", roots[0]), "404: there is no page 99"),
        (format!("pages/{}?numbers=x", roots[0]), "400: pages needs ?numbers="),
        (format!("pages/{}", roots[0]), "400: pages needs ?numbers="),
        ("diff/1.1/1.9".into(), "404: `shop` does not keep release 1.9"),
    ] {
        let problem = origin.problem(Method::GET, &format!("/v1/apps/shop/{path}"), "").await;
        assert!(problem.starts_with(expected), "{path}: {problem}");
    }

    // Back; pushes are refused, until one says that it ends the hold.
    let problem = origin.problem(Method::POST, "/v1/apps/shop/rollback", "{\"release\": \"1.7\"}").await;
    assert!(problem.starts_with("409: release 1.7 is not kept"), "{problem}");
    let rolled = origin.send(Method::POST, "/v1/apps/shop/rollback", "").await.unwrap();
    let rolled: Pushed = serde_json::from_slice(&rolled).unwrap();
    assert_eq!(rolled.release.map(|release| release.seq), Some(4));
    assert_eq!(origin.names(rolled.release.unwrap()).await, ["a", "b"]);
    let Releases { held, releases, .. } = list().await;
    assert_eq!(held.map(|held| held.rolled_back_to.seq), Some(2));
    assert_eq!((releases[0].same_as.map(|same| same.seq), origin.status().await.apps["shop"].held), (Some(2), held));
    for (path, body) in [("archive", archive(&shop())), ("data", data(&["z"]))] {
        let problem = origin.problem(Method::PUT, &format!("/v1/apps/shop/{path}"), body).await;
        assert!(problem.starts_with("409: releases are held since the rollback to 1.2"), "{problem}");
    }
    let pushed = origin.push("/v1/apps/shop/data?resume", data(&["z"])).await.unwrap();
    assert_eq!(origin.names(pushed.release.unwrap()).await, ["z"]);
    assert_eq!(list().await.held, None);
    let resumed = origin.send(Method::POST, "/v1/apps/shop/resume", "").await.unwrap();
    let resumed: Pushed = serde_json::from_slice(&resumed).unwrap();
    assert_eq!((resumed.release, &resumed.report[..]), (pushed.release, &["releases were not held".to_owned()][..]));
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_database_is_pushed_waits_for_it_and_checks_its_queries() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = shop();
    app.retain(|(name, _)| !name.starts_with("migrations") && *name != "snapshot.sql");
    let manifest = MANIFEST
        .replace("[mirror]\nitem = [\"id\", \"name\"]\n\n[data]\nitem = [\"name\"]\n", "")
        .replace("hosts", "database = \"pushed\"\nhosts");
    app.iter_mut().filter(|(name, _)| *name == "nearside.toml").for_each(|file| file.1 = &manifest);
    let origin = start(folder.path()).await;
    let pushed = origin.push("/v1/apps/shop/archive", archive(&app)).await.unwrap();
    assert_eq!(pushed.release, None);
    assert!(pushed.report.iter().any(|line| line.contains("nearside push FILE.db --app shop")), "{:?}", pushed.report);
    origin.stop().await;

    let origin = start(folder.path()).await;
    let problem = origin.problem(Method::PUT, "/v1/apps/shop/data", "id,name").await;
    assert!(problem.starts_with("422: the file is not a SQLite database"), "{problem}");
    let other = tempfile::NamedTempFile::new().unwrap();
    rusqlite::Connection::open(other.path()).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    let problem = origin.problem(Method::PUT, "/v1/apps/shop/data", fs::read(other.path()).unwrap()).await;
    assert!(problem.starts_with("422: queries.sql:2: error: query `all`"), "{problem}");
    let pushed = origin.push("/v1/apps/shop/data", data(&["a", "b"])).await.unwrap();
    assert!(pushed.cost.is_some_and(|cost| cost.starts_with("base: ")));
    assert_eq!(origin.names(pushed.release.unwrap()).await, ["a", "b"]);
    // An app that asks this database for what it lacks is refused before it is anything.
    let asks = "-- name: all\nSELECT nothing FROM item;";
    app.iter_mut().filter(|(name, _)| *name == "queries.sql").for_each(|file| file.1 = asks);
    let problem = origin.problem(Method::PUT, "/v1/apps/shop/archive", archive(&app)).await;
    assert!(problem.starts_with("422: queries.sql:2: error: query `all`"), "{problem}");
    origin.stop().await;
}
