//! A node without an origin, in this process, and a client that can say wrong things.

#![allow(dead_code, unreachable_pub)]

#[path = "../../../tests/support/http.rs"]
pub mod http;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::Answer;

use nearside_host::{
    archive::Archive, engine::Engine, follow, host::Host, origin_client::NoOrigin, replica::Replica, serve,
};
use nearside_protocol::{
    digest::{Digest, PageTree},
    key::SecretKey,
    limits,
    release::{DatabaseId, FORMAT, Manifest, ReleaseId, SignedManifest},
};

/// An app of `modules/`, built.
pub fn app(name: &str) -> Archive {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules").join(name);
    Archive::collect(&folder).unwrap_or_else(|error| panic!("{error}\n(scripts/test builds the modules first)"))
}

/// Puts releases on a node's disk, as a pull would.
pub struct Shelf {
    pub data: PathBuf,
    key: SecretKey,
    seq: u64,
}

impl Shelf {
    pub fn new(data: &Path) -> Shelf {
        let shelf = Shelf { data: data.to_owned(), key: SecretKey::from_seed([9; 32]), seq: 0 };
        Replica::open(data).unwrap().trust(&shelf.key.public()).unwrap();
        shelf
    }

    /// Makes the next release of `archive`, its read database filled by `seed`.
    pub fn put(&mut self, archive: &Archive, seed: &str) -> Manifest {
        self.seq += 1;
        let packed = archive.pack().unwrap();
        let file = self.data.join("seed.db");
        let _ = std::fs::remove_file(&file);
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch(&archive.text("snapshot.sql").unwrap()).unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS anything (x)").unwrap();
        connection.execute_batch(seed).unwrap();
        drop(connection);
        let pages = std::fs::read(&file).unwrap();
        let mut tree = PageTree::default();
        pages.chunks(limits::PAGE_BYTES).for_each(|page| tree.add(page));

        let manifest = Manifest {
            format: FORMAT,
            app: archive.app.name.clone(),
            database: DatabaseId("d0".into()),
            release: ReleaseId { epoch: 1, seq: self.seq },
            parent: None,
            created_at_ms: 0,
            applied_commit: self.seq,
            page_count: tree.pages(),
            root: tree.root(),
            app_digest: Digest::of(&packed),
            app_archive_bytes: packed.len() as u64,
            variables: BTreeMap::new(),
            secrets: None,
            fingerprint: Digest::of(b""),
        };
        let disk = Replica::open(&self.data).unwrap().app(&manifest.app).unwrap();
        disk.put_archive(&manifest.app_digest, &packed).unwrap();
        let mut incoming = disk.incoming(&manifest).unwrap();
        incoming.write(&pages).unwrap();
        incoming.finish().unwrap();
        disk.commit(manifest.release, &SignedManifest::sign(&manifest, &self.key)).unwrap();
        manifest
    }

    pub fn snapshot(&self, manifest: &Manifest) -> PathBuf {
        self.data.join("apps").join(&manifest.app).join("snapshots").join(format!("{}.db", manifest.root))
    }
}

/// A running node.
pub struct Node {
    pub address: SocketAddr,
    pub host: Arc<Host>,
    pub site: String,
    _runtime: tokio::runtime::Runtime,
}

impl Node {
    /// Starts from what is on the shelf; requests go to `site` unless they say otherwise.
    pub fn start(shelf: &Shelf, site: &str) -> Node {
        Node::with_cache(shelf, site, 64)
    }

    pub fn with_cache(shelf: &Shelf, site: &str, cache_mib: u64) -> Node {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let replica = Replica::open(&shelf.data).unwrap();
        let engine = Engine::start(&replica.compiled()).unwrap();
        let host = Host::new("test", engine, cache_mib, Arc::new(NoOrigin)).unwrap();
        follow::start_from_disk(&host, &replica).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve::serve(host.clone(), listener, std::future::pending()));
        Node { address, host, site: site.to_owned(), _runtime: runtime }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        http::request(self.address, &self.site, method, path, headers, body).unwrap()
    }

    /// Sends these bytes and reads until the node closes.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        http::raw(self.address, bytes).unwrap()
    }
}

pub const PAIR: &str = "INSERT INTO \"left\" VALUES (1, 7); INSERT INTO \"right\" VALUES (1, 7);";

/// The probe app on a node of its own.
pub fn probe() -> (Node, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&app("probe"), PAIR);
    (Node::start(&shelf, "probe.localhost"), folder)
}
