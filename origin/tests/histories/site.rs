//! An origin on a socket, and nodes that pull from it when they are told to.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use nearside_host::{
    engine::Engine,
    host::Host,
    logbook::Logbook,
    origin_client::{ClientError, NoOrigin, OriginClient, bytes, whole},
    pages::Kept,
    peer::Peer,
    pull::{Puller, Verdict, sources::Sources},
    replica::Replica,
    serve,
};
use nearside_origin::{Origin, config::Config};
use nearside_protocol::{
    release::{Manifest, ReleaseId, SignedManifest},
    trust::TrustedKey,
    wire::Pushed,
};
use tokio::net::TcpListener;

const WAIT: Duration = Duration::from_secs(60);
const MOST_BYTES: usize = 256 << 20;
const TRIES: u32 = 3;

/// Paths of what was asked of somebody.
type Asked = Arc<Mutex<Vec<String>>>;

pub struct Site {
    pub origin: Arc<Origin>,
    client: Arc<OriginClient>,
    engine: Engine,
    asked: Asked,
}

impl Site {
    pub async fn start(folder: &Path, engine: &Engine) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config::new(address, folder.join("origin"));
        let origin = Origin::open(config, engine.clone(), Logbook::new()).await.unwrap();
        let client = OriginClient::new(&format!("http://{address}"), Some(origin.token().to_owned())).unwrap();
        let asked = Asked::default();
        let (answering, noted) = (origin.clone(), asked.clone());
        let answer = move |request: http::Request<hyper::body::Incoming>, _| {
            noted.lock().unwrap().push(request.uri().path().to_owned());
            let origin = answering.clone();
            async move { origin.answer(request).await }
        };
        tokio::spawn(serve::accept(listener, answer, std::future::pending()));
        Site { origin, client: Arc::new(client), engine: engine.clone(), asked }
    }

    /// Pushes an archive or a file, as `nearside push` does.
    pub async fn put(&self, what: &str, body: Vec<u8>) -> Pushed {
        serde_json::from_slice(&self.send(Method::PUT, &format!("/v1/apps/shop/{what}"), body).await).unwrap()
    }

    /// Asks again where a connection ended under the question: whoever waits long with the next one is hung up on.
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Vec<u8> {
        let mut again = 0..TRIES;
        loop {
            let request = self.client.request(method.clone(), path).body(bytes(body.clone())).unwrap();
            match self.client.send(request, WAIT).await {
                Ok(response) => return whole(response, MOST_BYTES).await.unwrap().to_vec(),
                Err(ClientError::Unreachable { .. }) if again.next().is_some() => {}
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }

    pub async fn manifest(&self, release: ReleaseId) -> Manifest {
        let text = self.send(Method::GET, &format!("/v1/apps/shop/releases/{release}"), Vec::new()).await;
        let signed: SignedManifest = serde_json::from_slice(&text).unwrap();
        signed.verify(&[self.trusted()]).unwrap()
    }

    /// All pages of a release, as the origin has them.
    pub async fn exported(&self, manifest: &Manifest) -> Vec<u8> {
        self.send(Method::GET, &format!("/v1/apps/shop/snapshots/{}", manifest.root), Vec::new()).await
    }

    fn trusted(&self) -> TrustedKey {
        TrustedKey::with_both(self.origin.key())
    }
}

/// What led a node from one release to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The delta from the release before.
    Delta,
    /// One that a manifest offers from further back.
    SkipDelta,
    /// One that nobody offered.
    MadeDelta,
    /// Several objects.
    Chain,
    Base,
    /// Something of a sibling.
    Sibling,
}

pub struct Node {
    name: &'static str,
    puller: Puller,
    replica: Replica,
    peer_url: String,
    peer_asked: Asked,
    sibling: Option<Asked>,
    _folder: tempfile::TempDir,
}

impl Node {
    /// An empty one; it asks the sibling first, if there is one.
    pub async fn new(name: &'static str, site: &Site, sibling: Option<&Node>) -> Node {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::open(folder.path()).unwrap();
        let token = site.origin.token().to_owned();
        let near = sibling.map(|sibling| Arc::new(OriginClient::new(&sibling.peer_url, Some(token.clone())).unwrap()));
        let puller = Puller {
            host: Host::new(name, site.engine.clone(), 8, Arc::new(NoOrigin)).unwrap(),
            replica: replica.clone(),
            sources: Sources::new(near.into_iter().collect(), site.client.clone()),
            trusted: [site.trusted()].into(),
        };
        let peer = Arc::new(Peer::new(replica.clone(), Some(&token)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer_url = format!("http://{}", listener.local_addr().unwrap());
        let peer_asked = Asked::default();
        let noted = peer_asked.clone();
        let answer = move |request: http::Request<hyper::body::Incoming>, _| {
            let (peer, noted) = (peer.clone(), noted.clone());
            async move {
                let response = peer.answer(request.uri(), request.headers()).await;
                if response.status().is_success() {
                    noted.lock().unwrap().push(request.uri().path().to_owned());
                }
                response
            }
        };
        tokio::spawn(serve::accept(listener, answer, std::future::pending()));
        let sibling = sibling.map(|sibling| sibling.peer_asked.clone());
        Node { name, puller, replica, peer_url, peer_asked, sibling, _folder: folder }
    }

    pub fn has(&self) -> Option<ReleaseId> {
        self.kept().map(|kept| kept.release)
    }

    fn kept(&self) -> Option<Kept> {
        self.replica.app("shop").unwrap().pages().newest()
    }

    /// Pulls a release, which must then be here and served page by page as the origin has it; says what led to it.
    pub async fn pull(&self, site: &Site, manifest: &Manifest, exported: &[u8]) -> BTreeSet<Way> {
        let Node { name, .. } = self;
        let before = self.kept();
        site.asked.lock().unwrap().clear();
        self.sibling.iter().for_each(|asked| asked.lock().unwrap().clear());
        let mut again = 0..TRIES;
        while let Err(error) = self.puller.pull("shop", manifest.release).await {
            let passes = error.verdict() == Verdict::Passing && again.next().is_some();
            assert!(passes, "{name} pulls {} on {before:?}: {error}", manifest.release);
        }
        let kept = self.kept().unwrap();
        assert_eq!((kept.release, kept.table.root()), (manifest.release, manifest.root), "{name}");
        let mut pages = Vec::new();
        kept.table.export(&mut pages).unwrap();
        assert_eq!(pages.len(), exported.len(), "{name}, release {}", manifest.release);
        let wrong = pages.chunks(4_096).zip(exported.chunks(4_096)).position(|(one, other)| one != other);
        assert_eq!(wrong, None, "{name}: a page of release {} on {before:?}", manifest.release);
        let served = self.puller.host.by_name("shop").and_then(|served| served.current());
        assert_eq!(served.map(|served| served.manifest.release), Some(manifest.release), "{name}");
        self.ways(site, manifest)
    }

    fn ways(&self, site: &Site, manifest: &Manifest) -> BTreeSet<Way> {
        let objects = |asked: &Asked| -> Vec<String> {
            let asked = asked.lock().unwrap();
            asked.iter().filter(|path| path.contains("/deltas/") || path.contains("/bases/")).cloned().collect()
        };
        let from_sibling = self.sibling.as_ref().map_or(Vec::new(), objects);
        let all = [objects(&site.asked), from_sibling.clone()].concat();
        let mut ways: BTreeSet<Way> = all
            .iter()
            .map(|path| {
                let offered = manifest.deltas.iter().find(|offer| path.contains(&offer.from.to_string()));
                match offered {
                    _ if path.contains("/bases/") => Way::Base,
                    Some(offer) if Some(offer.from_release) == manifest.parent => Way::Delta,
                    Some(_) => Way::SkipDelta,
                    None => Way::MadeDelta,
                }
            })
            .collect();
        if !from_sibling.is_empty() {
            ways.insert(Way::Sibling);
        }
        if all.len() > 1 {
            ways.insert(Way::Chain);
        }
        ways
    }
}
