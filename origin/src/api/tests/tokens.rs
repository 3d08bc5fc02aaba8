//! Who may ask for what, over sockets.

use nearside_protocol::{
    action::{Action, Actions, Deed},
    problem::Problem,
    token::{self, Adding, Role, Tokens},
};

use super::*;

impl Running {
    /// A client with a token of this role, and the token's id.
    async fn holder(&self, name: &str, role: Role) -> (OriginClient, String) {
        let text = format!("token of {name}").replace(' ', "-");
        let adding = Adding { name: name.into(), role, digest: Digest::of(text.as_bytes()), expires_at_ms: None };
        let added = self.send(Method::POST, "/v1/tokens", serde_json::to_vec(&adding).unwrap()).await.unwrap();
        let added: token::Token = serde_json::from_slice(&added).unwrap();
        assert_eq!((added.name.as_str(), added.role, added.used_at_ms), (name, role, None));
        (OriginClient::new(&format!("http://{}", self.address), Some(text)).unwrap(), added.id)
    }

    async fn newest_action(&self) -> Action {
        let actions = self.send(Method::GET, "/v1/actions?limit=1", "").await.unwrap();
        serde_json::from_slice::<Actions>(&actions).unwrap().actions.remove(0)
    }
}

/// What a request comes to: nothing where it is let in, whatever becomes of it then.
async fn shut(client: &OriginClient, method: Method, path: &str) -> Option<Problem> {
    let request = client.request(method, path).header(IDEMPOTENCY_KEY_HEADER, "k").body(bytes("")).unwrap();
    match client.send(request, WAIT).await {
        Err(ClientError::Refused(problem)) if matches!(problem.status, 401 | 403) => Some(*problem),
        Ok(_) | Err(ClientError::Refused(_)) => None,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_opens_what_it_is_for_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    origin.push("/v1/apps/shop/archive", archive(&shop())).await.unwrap();
    let digest = Digest::of(b"");
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let ways = [
        ("reader node publisher operator", get.clone(), "/v1/status".to_owned()),
        ("reader node publisher operator", get.clone(), "/v1/metrics".into()),
        ("reader node publisher operator", get.clone(), "/v1/fleet".into()),
        ("reader node publisher operator", get.clone(), "/v1/apps/shop/releases".into()),
        ("reader node publisher operator", get.clone(), "/v1/key".into()),
        ("node publisher operator", post.clone(), "/v1/heads".into()),
        ("node publisher operator", get.clone(), "/v1/apps/shop/releases/1.1".into()),
        ("node publisher operator", get.clone(), format!("/v1/apps/shop/archives/{digest}")),
        ("node publisher operator", get.clone(), "/v1/apps/shop/queries".into()),
        ("node operator", get.clone(), format!("/v1/apps/shop/secrets/{digest}")),
        ("node operator", post.clone(), "/v1/heartbeat".into()),
        ("node operator", post.clone(), "/v1/apps/shop/commands/buy".into()),
        ("node operator", post.clone(), "/v1/apps/shop/deferred".into()),
        ("node operator", post.clone(), "/v1/apps/shop/tasks/mail".into()),
        ("node operator", put.clone(), format!("/v1/apps/shop/blobs/{digest}")),
        ("publisher operator", put.clone(), "/v1/apps/shop/archive".into()),
        ("publisher operator", put.clone(), "/v1/apps/shop/data".into()),
        ("publisher operator", post.clone(), "/v1/apps/shop/rollback".into()),
        ("publisher operator", post.clone(), "/v1/apps/shop/promote".into()),
        ("operator", post.clone(), "/v1/apps/shop/tasks/mail/retry".into()),
        ("operator", get.clone(), "/v1/apps/shop/tasks/1".into()),
        ("operator", get.clone(), "/v1/logs".into()),
        ("operator", get.clone(), "/v1/tokens".into()),
        ("operator", post.clone(), "/v1/tokens".into()),
        ("operator", Method::DELETE, "/v1/tokens/beef".into()),
    ];
    for role in Role::ALL {
        let (client, _) = origin.holder(&format!("a-{role}"), role).await;
        for (opened_by, method, path) in &ways {
            let shut = shut(&client, method.clone(), path).await;
            let is_open = opened_by.split(' ').any(|name| name == role.name());
            assert_eq!(shut.is_none(), is_open, "{role}: {method} {path}: {shut:?}");
            if let Some(problem) = shut {
                assert_eq!(problem.status, 403);
                assert_eq!(problem.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" "), *opened_by);
                let detail = problem.detail.unwrap();
                assert!(
                    detail.starts_with(&format!("the token `a-{role}` is for {}, and this takes", role.with_article())),
                    "{detail}"
                );
            }
        }
    }
    origin.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_exchanged_without_a_pause_and_who_did_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let origin = start(folder.path()).await;
    let (ci, id) = origin.holder("ci", Role::Publisher).await;
    let added = origin.newest_action().await;
    assert_eq!((added.deed, added.what.as_deref()), (Deed::AddToken, Some("ci, publisher")));
    assert_eq!(added.token.as_deref(), Some("token file"));

    let request = ci.request(Method::PUT, "/v1/apps/shop/archive").body(bytes(archive(&shop()))).unwrap();
    ci.send(request, WAIT).await.unwrap();
    let pushed = origin.newest_action().await;
    assert_eq!((pushed.deed, pushed.token.as_deref(), pushed.went_well), (Deed::PushApp, Some("ci"), true));

    // What it may not do is written down as well; what changes nothing is not.
    shut(&ci, Method::POST, "/v1/apps/shop/tasks/mail/retry").await.unwrap();
    shut(&ci, Method::GET, "/v1/logs").await.unwrap();
    let tried = origin.newest_action().await;
    assert_eq!((tried.deed, tried.token.as_deref(), tried.went_well), (Deed::RetryTasks, Some("ci"), false));
    assert_eq!((tried.app.as_deref(), tried.what.as_deref()), (Some("shop"), Some("dead mail")));
    assert_eq!(tried.outcome, "the token `ci` is for a publisher, and this takes that of an operator");

    let second = Adding {
        name: "ci".into(),
        role: Role::Publisher,
        digest: Digest::of(b"another-token-of-ci"),
        expires_at_ms: None,
    };
    origin.send(Method::POST, "/v1/tokens", serde_json::to_vec(&second).unwrap()).await.unwrap();
    let other = OriginClient::new(&format!("http://{}", origin.address), Some("another-token-of-ci".into())).unwrap();
    assert!(shut(&ci, Method::GET, "/v1/status").await.is_none());
    assert!(shut(&other, Method::GET, "/v1/status").await.is_none());
    origin.send(Method::DELETE, &format!("/v1/tokens/{id}"), "").await.unwrap();
    let gone = shut(&ci, Method::GET, "/v1/status").await.unwrap();
    assert_eq!((gone.status, gone.roles.len()), (401, 4));
    assert!(
        gone.detail
            .unwrap()
            .starts_with("the token that was shown is none of this origin's: this takes the token of a reader")
    );
    assert!(shut(&other, Method::GET, "/v1/status").await.is_none());
    let tokens = origin.send(Method::GET, "/v1/tokens", "").await.unwrap();
    let Tokens { tokens } = serde_json::from_slice(&tokens).unwrap();
    assert_eq!(tokens.len(), 1);
    assert_ne!(tokens[0].id, id);

    let metrics = String::from_utf8(origin.send(Method::GET, "/v1/metrics", "").await.unwrap()).unwrap();
    for line in
        ["nearside_refused_calls_total{why=\"other_role\"} 2", "nearside_refused_calls_total{why=\"unknown_token\"} 1"]
    {
        assert!(metrics.lines().any(|one| one == line), "no `{line}` in:\n{metrics}");
    }
    let problem = origin.problem(Method::DELETE, &format!("/v1/tokens/{id}"), "").await;
    assert_eq!(problem, format!("404: there is no token {id}"));
    let problem = origin.problem(Method::POST, "/v1/tokens", "{\"name\": \"x\"}").await;
    assert!(problem.starts_with("400: the body is a name, a role and a digest"), "{problem}");
    origin.stop().await;
}
