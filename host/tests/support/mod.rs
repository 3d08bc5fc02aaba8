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
    archive::Archive,
    engine::Engine,
    follow,
    host::Host,
    origin_client::NoOrigin,
    queue::Load,
    replica::{AppReplica, Replica},
    serve,
    upstream::Upstream,
};
use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    limits,
    page_object::{PlainBase, Snapshot},
    release::{BaseOffer, DatabaseId, FORMAT, Manifest, ReleaseId, SignedManifest},
    trust::TrustedKey,
    voucher::AppVoucher,
};

/// An app of `modules/`, built.
pub fn app(name: &str) -> Archive {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules").join(name);
    Archive::collect(&folder).unwrap_or_else(|error| panic!("{error}\n(scripts/test builds the modules first)"))
}

/// The probe app with changes: more in its manifest, other files beside it.
pub struct Changed {
    folder: tempfile::TempDir,
    manifest: String,
}

impl Changed {
    pub fn probe() -> Changed {
        const BUILT: &str = "../target/wasm32-wasip2/release/";
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/probe");
        let folder = tempfile::tempdir().unwrap();
        let copy = |name: &str| {
            let to = folder.path().join(name);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(source.join(name), to).unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        let files = |below: &str| -> Vec<String> {
            let entries = std::fs::read_dir(source.join(below)).unwrap();
            entries.map(|entry| format!("{below}/{}", entry.unwrap().file_name().to_str().unwrap())).collect()
        };
        ["queries.sql", "snapshot.sql"].into_iter().for_each(copy);
        files("schemas").iter().chain(&files("migrations")).for_each(|name| copy(name));
        let manifest = std::fs::read_to_string(source.join("nearside.toml")).unwrap();
        for component in ["probe_handlers.wasm", "probe_commands.wasm", "probe_tasks.wasm"] {
            std::fs::copy(source.join(BUILT).join(component), folder.path().join(component))
                .unwrap_or_else(|error| panic!("{component}: {error}\n(scripts/test builds the modules first)"));
        }
        Changed { folder, manifest: manifest.replace(BUILT, "") }
    }

    /// With more tables in its manifest.
    pub fn with(mut self, tables: &str) -> Changed {
        self.manifest = format!("{}\n{tables}", self.manifest);
        self
    }

    /// With more said of the route at `path`.
    pub fn with_route(mut self, path: &str, keys: &str) -> Changed {
        let at = format!("path = \"{path}\"\n");
        assert!(self.manifest.contains(&at), "no route {path}");
        self.manifest = self.manifest.replace(&at, &format!("{at}{keys}\n"));
        self
    }

    /// With other files of its own.
    pub fn with_files(self, files: &[(&str, &str)]) -> Changed {
        for (name, text) in files {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
        self
    }

    /// With text in a component replaced by text of the same length: another build of it.
    pub fn patched(self, component: &str, from: &str, to: &str) -> Changed {
        assert_eq!(from.len(), to.len());
        let file = self.folder.path().join(component);
        let mut wasm = std::fs::read(&file).unwrap();
        let at = wasm.windows(from.len()).position(|part| part == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("no `{from}` in {component}"));
        wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(file, wasm).unwrap();
        self
    }

    /// With these static files.
    pub fn with_static(mut self, files: &[(&str, &[u8])]) -> Changed {
        for (name, bytes) in files {
            let path = self.folder.path().join("public").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        if !self.manifest.contains("static = ") {
            self.manifest = format!("static = \"public\"\n{}", self.manifest);
        }
        self
    }

    pub fn archive(&self) -> Archive {
        std::fs::write(self.folder.path().join("nearside.toml"), &self.manifest).unwrap();
        Archive::collect(self.folder.path()).unwrap().with_encoded()
    }

    /// On a node of its own.
    pub fn start(&self) -> (Node, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path());
        shelf.put(&self.archive(), PAIR);
        (Node::start(&shelf, "probe.localhost"), folder)
    }
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
        let trusted = TrustedKey::with_both(shelf.key.public());
        Replica::open(data).unwrap().trusted().add(&trusted).unwrap();
        shelf
    }

    /// Makes the next release of `archive`, its read database filled by `seed`.
    pub fn put(&mut self, archive: &Archive, seed: &str) -> Manifest {
        self.seq += 1;
        let disk = Replica::open(&self.data).unwrap().app(&archive.app.name).unwrap();
        release(&disk, archive, &self.data.join("seed.db"), seed, self.seq, &self.key, |_| {})
    }
}

/// Makes a release of `archive` and a database filled by `seed`, among the releases of this disk.
pub fn release(
    disk: &AppReplica,
    archive: &Archive,
    file: &Path,
    seed: &str,
    seq: u64,
    key: &SecretKey,
    change: impl FnOnce(&mut Manifest),
) -> Manifest {
    let packed = archive.pack().unwrap();
    let _ = std::fs::remove_file(file);
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch(&archive.text("snapshot.sql").unwrap()).unwrap();
    connection.execute_batch("CREATE TABLE IF NOT EXISTS anything (x)").unwrap();
    connection.execute_batch(seed).unwrap();
    drop(connection);
    let newest = disk.pages().newest();
    let mut draft = disk.pages().draft(newest.as_ref().map(|kept| &kept.table));
    let pages = std::fs::read(file).unwrap();
    let (pages, _) = pages.as_chunks::<{ limits::PAGE_BYTES }>();
    draft.resize(pages.len() as u32);
    for (number, page) in (0..).zip(pages) {
        draft.put(number, page).unwrap();
    }

    let (id, root) = (ReleaseId { epoch: 1, seq }, draft.root());
    let base_bytes = PlainBase::new(Snapshot { root, pages: draft.pages() }).bytes();
    let mut manifest = Manifest {
        format: FORMAT,
        app: archive.app.name.clone(),
        database: DatabaseId("d0".into()),
        release: id,
        parent: newest.map(|kept| kept.release),
        created_at_ms: 0,
        applied_commit: seq,
        page_count: draft.pages().into(),
        root,
        rolled_back_to: None,
        candidate: None,
        deltas: vec![],
        base: Some(BaseOffer { release: id, root, page_count: draft.pages().into(), bytes: base_bytes }),
        app_digest: Digest::of(&packed),
        app_archive_bytes: packed.len() as u64,
        app_vouched: AppVoucher::sign(&archive.app.name, &Digest::of(&packed), key),
        variables: BTreeMap::new(),
        secrets: None,
        fingerprint: Digest::of(seed.as_bytes()),
    };
    change(&mut manifest);
    disk.put_archive(&manifest.app_digest, &packed).unwrap();
    disk.commit(draft, manifest.release, SignedManifest::sign(&manifest, key)).unwrap();
    manifest
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
        Node::with(shelf, site, cache_mib, Arc::new(NoOrigin))
    }

    pub fn with(shelf: &Shelf, site: &str, cache_mib: u64, upstream: Arc<dyn Upstream>) -> Node {
        Node::under(Load::default(), shelf, site, cache_mib, upstream)
    }

    /// One that takes so much.
    pub fn under(load: Load, shelf: &Shelf, site: &str, cache_mib: u64, upstream: Arc<dyn Upstream>) -> Node {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let replica = Replica::open(&shelf.data).unwrap();
        let engine = Engine::start(&replica.compiled()).unwrap();
        let host =
            Host::under(load, "test", engine, cache_mib, upstream).unwrap().with_blobs(&replica.blobs()).unwrap();
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
