//! Where releases are put for nodes and mirrors: a folder, or a bucket of any service that speaks S3.
//!
//! Keys, below the prefix of the configured URL:
//!
//! | key | what |
//! |---|---|
//! | `<app>/releases/<epoch>.<seq>.json` | a signed manifest; created once, never changed, written last: it is the release |
//! | `<app>/head` | the number of the newest release; overwritten; only a hint |
//! | `<app>/deltas/<from>.<to>` | a page object that makes one root out of another |
//! | `<app>/bases/<root>` | a page object that makes a root out of nothing |
//! | `<app>/archives/<digest>` | an app's archive |
//! | `create-once` | what a service that speaks S3 was tried out with |
//!
//! Nothing is ever listed: whoever looks for the newest release begins at `head` and asks for the numbers after it.

mod http;

use std::{
    fmt,
    fs::File,
    future::Future,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
#[cfg(test)]
use nearside_host::disk::Step;
use nearside_protocol::{digest::Digest, limits, release::ReleaseId};
use object_store::{
    Error, GetOptions, GetRange, GetResult, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, aws::AmazonS3Builder, local::LocalFileSystem, path::Path,
};
use tokio::runtime::Handle;

use crate::config::ObjectsConfig;

#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error("the object store {url}: {why}")]
    Config { url: String, why: String },
    #[error("the object store {url}: {what} of {key} failed: {error}")]
    Failed { url: Arc<str>, what: &'static str, key: String, error: Box<Error> },
    #[error("the object store {url}: {key} is longer than the {most} bytes it may have")]
    TooLong { url: Arc<str>, key: String, most: u64 },
    #[error(
        "the object store {url} overwrites what it is told to create (`If-None-Match: *`), so a release there could be \
        replaced by another: use one that honours it"
    )]
    Overwrites { url: Arc<str> },
    #[error("no runtime for the object store: {0}")]
    Runtime(std::io::Error),
}

/// What there can be of one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Release(ReleaseId),
    Head,
    Delta {
        from: Digest,
        to: Digest,
    },
    Base(Digest),
    Archive(Digest),
    /// Means nothing: whether a store creates things once is tried out with it.
    CreateOnce,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Release(release) => write!(f, "releases/{release}.json"),
            Name::Head => f.write_str("head"),
            Name::Delta { from, to } => write!(f, "deltas/{from}.{to}"),
            Name::Base(root) => write!(f, "bases/{root}"),
            Name::Archive(digest) => write!(f, "archives/{digest}"),
            Name::CreateOnce => f.write_str("create-once"),
        }
    }
}

/// What became of putting something that is put once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    New,
    /// Something was there already, and is untouched.
    Taken,
}

/// An object as it comes.
pub struct Object {
    pub bytes: u64,
    pub e_tag: Option<String>,
    /// Which of its bytes come.
    pub range: Range<u64>,
    pub result: GetResult,
}

/// Parts of an upload that is done in several.
const PART_BYTES: usize = 16 << 20;
/// What is longer goes in parts.
const WHOLE_BYTES: usize = 64 << 20;

/// One app's part of the store.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// For messages.
    url: Arc<str>,
    prefix: Path,
    runtime: Option<Handle>,
    /// It is known not to overwrite what it is told to create.
    creates_once: Arc<AtomicBool>,
    /// Changes that still succeed, in tests of what a crash leaves.
    #[cfg(test)]
    fuse: Option<Arc<std::sync::atomic::AtomicI64>>,
    /// The folder it is, and who is told of what is done to it, in tests of what a loss of power leaves.
    #[cfg(test)]
    watched: Option<(PathBuf, Arc<dyn nearside_host::disk::Watcher>)>,
}

impl Bucket {
    /// A store as it is configured. Nothing is asked of it yet, but that a folder is there.
    pub fn open(config: &ObjectsConfig) -> Result<Bucket, BucketError> {
        let wrong = |why: String| BucketError::Config { url: config.url.clone(), why };
        if let Some(folder) = config.url.strip_prefix("file://") {
            return Bucket::folder(&PathBuf::from(folder));
        }
        let rest = config
            .url
            .strip_prefix("s3://")
            .ok_or_else(|| wrong("`file:///folder` or `s3://bucket/prefix` expected".into()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("it names no bucket".into()));
        }
        // Keys and tokens come from the environment, as every tool for S3 has them.
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_http_connector(http::Connector)
            .with_allow_http(config.allow_http);
        if let Some(endpoint) = &config.endpoint {
            if endpoint.starts_with("http://") && !config.allow_http {
                return Err(wrong(format!("its endpoint {endpoint} is not encrypted: https, or `allow_http = true`")));
            }
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &config.region {
            builder = builder.with_region(region);
        }
        let store = builder.build().map_err(|error| wrong(error.to_string()))?;
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| wrong(error.to_string()))?;
        Ok(Bucket {
            store: Arc::new(store),
            url: config.url.clone().into(),
            prefix,
            runtime: Handle::try_current().ok(),
            creates_once: Arc::default(),
            #[cfg(test)]
            fuse: None,
            #[cfg(test)]
            watched: None,
        })
    }

    /// A folder, made when it is not there. Whatever is put in it is on the disk when the call returns.
    pub fn folder(folder: &std::path::Path) -> Result<Bucket, BucketError> {
        let url = format!("file://{}", folder.display());
        let wrong = |why: String| BucketError::Config { url: url.clone(), why };
        nearside_host::disk::Disk::real().folder(folder).map_err(|error| wrong(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| wrong(error.to_string()))?;
        Ok(Bucket {
            store: Arc::new(store.with_fsync(true)),
            url: url.into(),
            prefix: Path::default(),
            runtime: Handle::try_current().ok(),
            // By a link to a file that is whole, which fails where there is one.
            creates_once: Arc::new(true.into()),
            #[cfg(test)]
            fuse: None,
            #[cfg(test)]
            watched: None,
        })
    }

    /// The part of it that is this app's.
    pub fn of(&self, app: &str) -> Bucket {
        Bucket { prefix: self.prefix.clone().join(app), ..self.clone() }
    }

    /// For threads that may wait.
    pub fn wait<T>(&self, work: impl Future<Output = Result<T, BucketError>>) -> Result<T, BucketError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(BucketError::Runtime)?
                .block_on(work),
        }
    }

    /// Puts what may be put again: its name says what it is, or it is only a hint.
    pub async fn put(&self, name: Name, bytes: impl Into<Bytes>) -> Result<(), BucketError> {
        let (key, bytes) = (self.key(name), bytes.into());
        #[cfg(test)]
        self.saw_put(name, &bytes);
        let put = async {
            self.burn()?;
            if bytes.len() <= WHOLE_BYTES {
                return self.store.put(&key, bytes.into()).await.map(drop);
            }
            let mut upload = self.store.put_multipart(&key).await?;
            match parts(&mut *upload, bytes).await {
                Ok(()) => upload.complete().await.map(drop),
                Err(error) => {
                    let _ = upload.abort().await;
                    Err(error)
                }
            }
        };
        put.await.map_err(self.failed("writing", name))
    }

    /// The same for what is in a file, from its beginning: a part of it is in memory at a time.
    pub async fn put_file(&self, name: Name, file: File) -> Result<(), BucketError> {
        let key = self.key(name);
        let put = async {
            self.burn()?;
            let length = file.metadata().map_err(unread)?.len();
            #[cfg(test)]
            self.saw_put_file(name, &file, length).map_err(unread)?;
            if length <= WHOLE_BYTES as u64 {
                let (_, bytes) = part_of(file, 0, length as usize).await?;
                return self.store.put(&key, bytes.into()).await.map(drop);
            }
            let mut upload = self.store.put_multipart(&key).await?;
            match file_parts(&mut *upload, file, length).await {
                Ok(()) => upload.complete().await.map(drop),
                Err(error) => {
                    let _ = upload.abort().await;
                    Err(error)
                }
            }
        };
        put.await.map_err(self.failed("writing", name))
    }

    /// Puts what is put once; only one of two who try at the same time succeeds. Nothing is put where that is not so.
    pub async fn create(&self, name: Name, bytes: impl Into<Bytes>) -> Result<Created, BucketError> {
        self.burn().map_err(self.failed("creating", name))?;
        self.prove_creates_once().await?;
        let bytes: Bytes = bytes.into();
        #[cfg(test)]
        if self.length(name).await?.is_none() {
            self.saw_put(name, &bytes);
        }
        self.put_new(name, bytes).await
    }

    /// Fails when the store overwrites what it is told to create. Asks once, and never again when that went well.
    pub async fn prove_creates_once(&self) -> Result<(), BucketError> {
        if self.creates_once.load(Ordering::Relaxed) {
            return Ok(());
        }
        let bytes = Bytes::from_static(b"Put here by Nearside, to find out whether it can be put here again.\n");
        let is_new = self.put_new(Name::CreateOnce, bytes.clone()).await? == Created::New;
        if is_new && self.put_new(Name::CreateOnce, bytes).await? == Created::New {
            return Err(BucketError::Overwrites { url: self.url.clone() });
        }
        self.creates_once.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn put_new(&self, name: Name, bytes: Bytes) -> Result<Created, BucketError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.key(name), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(Created::New),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::Taken),
            Err(error) => Err(self.failed("creating", name)(error)),
        }
    }

    /// The length of an object; none when there is no such object.
    pub async fn length(&self, name: Name) -> Result<Option<u64>, BucketError> {
        Ok(self.about(name).await?.map(|(bytes, _)| bytes))
    }

    /// The length of an object, and what tells this version of it from another.
    pub async fn about(&self, name: Name) -> Result<Option<(u64, Option<String>)>, BucketError> {
        match self.store.head(&self.key(name)).await {
            Ok(meta) => Ok(Some((meta.size, meta.e_tag))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("asking", name)(error)),
        }
    }

    /// All of a small object.
    pub async fn get(&self, name: Name, most: u64) -> Result<Option<Bytes>, BucketError> {
        let Some(object) = self.open_object(name, None).await? else { return Ok(None) };
        if object.bytes > most {
            return Err(BucketError::TooLong { url: self.url.clone(), key: self.key(name).to_string(), most });
        }
        object.result.bytes().await.map(Some).map_err(self.failed("reading", name))
    }

    /// An object, or a range of it, to be read as it comes. A range that begins past its end is an error.
    pub async fn open_object(&self, name: Name, range: Option<GetRange>) -> Result<Option<Object>, BucketError> {
        let options = GetOptions { range, ..GetOptions::default() };
        match self.store.get_opts(&self.key(name), options).await {
            Ok(result) => Ok(Some(Object {
                bytes: result.meta.size,
                e_tag: result.meta.e_tag.clone(),
                range: result.range.clone(),
                result,
            })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("reading", name)(error)),
        }
    }

    /// Deletes it, if it is there.
    pub async fn delete(&self, name: Name) -> Result<(), BucketError> {
        self.burn().map_err(self.failed("deleting", name))?;
        #[cfg(test)]
        if self.length(name).await?.is_some() {
            self.saw(|path| vec![Step::Remove(path)], name);
        }
        match self.store.delete(&self.key(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("deleting", name)(error)),
        }
    }

    /// The newest release: from where the hint points, or from `from`, on. None when there is none.
    pub async fn newest(&self, from: Option<ReleaseId>) -> Result<Option<ReleaseId>, BucketError> {
        let hint = self.get(Name::Head, limits::HEAD_BYTES).await?;
        let hint = hint.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse::<ReleaseId>().ok());
        let Some(mut at) = hint.max(from) else { return Ok(None) };
        loop {
            let next = ReleaseId { seq: at.seq + 1, ..at };
            if self.length(Name::Release(next)).await?.is_none() {
                return Ok(Some(at));
            }
            at = next;
        }
    }

    /// After so many changes nothing is changed any more, as if the process were gone.
    #[cfg(test)]
    pub(crate) fn fused(self, changes: i64) -> Bucket {
        Bucket { fuse: Some(Arc::new(changes.into())), ..self }
    }

    /// Tells `watcher` of what is done to this bucket, which is in `folder`, as the steps that the folder's store takes for it.
    #[cfg(test)]
    pub(crate) fn watched(self, folder: PathBuf, watcher: Arc<dyn nearside_host::disk::Watcher>) -> Bucket {
        Bucket { watched: Some((folder, watcher)), ..self }
    }

    #[cfg(test)]
    fn saw_put_file(&self, name: Name, file: &File, length: u64) -> std::io::Result<()> {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0)?;
        self.saw_put(name, &bytes);
        Ok(())
    }

    /// It writes a file beside, syncs it, gives it its name and syncs the folder.
    #[cfg(test)]
    fn saw_put(&self, name: Name, bytes: &[u8]) {
        let steps = |path: PathBuf| {
            let beside = PathBuf::from(format!("{}#1", path.display()));
            let folder = path.parent().map(PathBuf::from).unwrap_or_default();
            vec![
                Step::Create(beside.clone()),
                Step::Write { path: beside.clone(), at: 0, bytes: bytes.to_vec() },
                Step::SyncFile(beside.clone()),
                Step::Rename(beside, path),
                Step::SyncFolder(folder),
            ]
        };
        self.saw(steps, name);
    }

    #[cfg(test)]
    fn saw(&self, steps: impl FnOnce(PathBuf) -> Vec<Step>, name: Name) {
        if let Some((folder, watcher)) = &self.watched {
            steps(folder.join(self.key(name).to_string())).into_iter().for_each(|step| watcher.saw(step));
        }
    }

    fn burn(&self) -> Result<(), Error> {
        #[cfg(test)]
        if let Some(fuse) = &self.fuse
            && fuse.fetch_sub(1, Ordering::Relaxed) <= 0
        {
            return Err(Error::Generic { store: "test", source: "gone".into() });
        }
        Ok(())
    }

    fn key(&self, name: Name) -> Path {
        name.to_string().split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, what: &'static str, name: Name) -> impl FnOnce(Error) -> BucketError {
        let (url, key) = (self.url.clone(), self.key(name).to_string());
        move |error| BucketError::Failed { url, what, key, error: Box::new(error) }
    }
}

async fn parts(upload: &mut dyn MultipartUpload, mut bytes: Bytes) -> Result<(), Error> {
    while !bytes.is_empty() {
        let part = bytes.split_to(bytes.len().min(PART_BYTES));
        upload.put_part(part.into()).await?;
    }
    Ok(())
}

async fn file_parts(upload: &mut dyn MultipartUpload, mut file: File, length: u64) -> Result<(), Error> {
    let mut at = 0;
    while at < length {
        let wanted = (length - at).min(PART_BYTES as u64);
        let (back, part) = part_of(file, at, wanted as usize).await?;
        upload.put_part(part.into()).await?;
        file = back;
        at += wanted;
    }
    Ok(())
}

async fn part_of(file: File, at: u64, length: usize) -> Result<(File, Bytes), Error> {
    let read = tokio::task::spawn_blocking(move || {
        let mut part = vec![0; length];
        file.read_exact_at(&mut part, at).map(|()| (file, Bytes::from(part)))
    });
    read.await.unwrap_or_else(|_| Err(std::io::Error::other("the origin is stopping"))).map_err(unread)
}

fn unread(error: std::io::Error) -> Error {
    Error::Generic { store: "file", source: Box::new(error) }
}
