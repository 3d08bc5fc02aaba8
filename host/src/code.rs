//! An app's code, loaded: routes, pre-linked components, named queries, schemas, static files. Shared by all releases
//! of one app version.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use nearside_protocol::{
    app::App,
    digest::Digest,
    queries::{self, Query, QueryError},
    redirect::Redirect,
    route::{Method, Route},
};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::{
    archive::{Archive, ArchiveError},
    bindings::edge,
    engine::{Engine, EngineError},
    error_files::ErrorFiles,
    guest::{Guest, link_wasi},
    missed::Missed,
    quick::Quick,
    reuse::Idle,
    schemas::{SchemaError, Schemas},
    static_files::StaticFiles,
    target::Target,
    visit::Visit,
    writes::Writes,
};

#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Queries(#[from] QueryError),
    #[error("component `{name}`: {error}")]
    Component { name: String, error: EngineError },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("route `{0}` stands twice: {1}")]
    Route(String, String),
    #[error("redirect from `{0}` stands twice: {1}")]
    Redirect(String, String),
}

pub struct Code {
    pub digest: Digest,
    pub app: App,
    pub queries: BTreeMap<String, Query>,
    pub schemas: Schemas,
    /// Inputs its handlers looked for in vain.
    pub(crate) missed: Missed,
    pub(crate) quick: Quick,
    pub(crate) idle: Idle,
    handlers: BTreeMap<String, Handler>,
    /// Path pattern -> indices of the routes there, one a method or more.
    router: matchit::Router<Vec<usize>>,
    /// Path pattern -> index among the app's redirects.
    moved: matchit::Router<usize>,
    static_files: StaticFiles,
    error_files: ErrorFiles,
}

/// A component, and what is known beforehand of its instances.
struct Handler {
    pre: ProxyPre<Guest<Option<Visit>>>,
    /// Kept, so that other apps with the same component have this one.
    _component: Arc<Component>,
}

/// What a path and method lead to.
pub enum Found {
    /// Index among the app's routes.
    Route(usize),
    /// There is such a path, but not for this method; these are the ones it has.
    OtherMethods(Vec<Method>),
    Nothing,
}

impl Code {
    /// Loads an archive. Compiles what was never compiled here: call it from a thread that may block.
    pub fn load(engine: &Engine, archive: &Archive, digest: Digest) -> Result<Arc<Code>, CodeError> {
        let app = archive.app.clone();
        let mut handlers = BTreeMap::new();
        for route in &app.routes {
            if !handlers.contains_key(&route.component) {
                let handler = handler(engine, archive, &route.component)
                    .map_err(|error| CodeError::Component { name: route.component.clone(), error })?;
                handlers.insert(route.component.clone(), handler);
            }
        }

        let mut by_path: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, route) in app.routes.iter().enumerate() {
            by_path.entry(&route.path).or_default().push(index);
        }
        let mut router = matchit::Router::new();
        for (path, indices) in by_path {
            router.insert(path, indices).map_err(|error| CodeError::Route(path.to_owned(), error.to_string()))?;
        }

        let mut moved = matchit::Router::new();
        for (index, redirect) in app.redirects.iter().enumerate() {
            let twice = |error: matchit::InsertError| CodeError::Redirect(redirect.from.clone(), error.to_string());
            moved.insert(&redirect.from, index).map_err(twice)?;
        }

        let static_files = StaticFiles::load(archive);
        Ok(Arc::new(Code {
            digest,
            queries: queries::parse(&archive.text(queries::FILE_NAME)?)?,
            schemas: Schemas::load(archive)?,
            error_files: ErrorFiles::load(&app, &static_files),
            static_files,
            missed: Missed::default(),
            quick: Quick::new(app.routes.len()),
            idle: Idle::new(app.routes.len()),
            app,
            handlers,
            router,
            moved,
        }))
    }

    pub fn find(&self, path: &str, method: Method) -> Found {
        let Ok(matched) = self.router.at(path) else { return Found::Nothing };
        let indices = matched.value;
        match indices.iter().find(|index| self.app.routes[**index].answers(method)) {
            Some(index) => Found::Route(*index),
            None => {
                Found::OtherMethods(indices.iter().flat_map(|index| self.app.routes[*index].methods.clone()).collect())
            }
        }
    }

    /// All routes at a path, which answer different methods.
    pub fn routes_at(&self, path: &str) -> impl Iterator<Item = &Route> {
        let indices = self.router.at(path).map(|matched| matched.value.as_slice()).unwrap_or_default();
        indices.iter().map(|index| &self.app.routes[*index])
    }

    /// The methods of all routes at a path.
    pub fn methods_at(&self, path: &str) -> Vec<Method> {
        self.routes_at(path).flat_map(|route| route.methods.clone()).collect()
    }

    /// Where what was at this address has moved to.
    pub fn moved(&self, target: &Target) -> Option<(&Redirect, String)> {
        let matched = self.moved.at(&target.path).ok()?;
        let redirect = &self.app.redirects[*matched.value];
        let location = redirect.location(|name| matched.params.get(name), target.query.as_deref());
        Some((redirect, location))
    }

    pub fn handler(&self, route: &Route) -> &ProxyPre<Guest<Option<Visit>>> {
        &self.handlers[&route.component].pre
    }

    pub fn static_files(&self) -> &StaticFiles {
        &self.static_files
    }

    pub(crate) fn error_files(&self) -> &ErrorFiles {
        &self.error_files
    }
}

/// What a node offers to handlers.
pub fn handler_linker(engine: &wasmtime::Engine) -> Result<Linker<Guest<Option<Visit>>>, EngineError> {
    let mut linker = Linker::new(engine);
    link_wasi(&mut linker, true)?;
    // Between two requests a guest is nobody's, and nothing runs in it.
    fn visit(guest: &mut Guest<Option<Visit>>) -> &mut Visit {
        guest.context.as_mut().expect("BUG: a guest runs only for a visit")
    }
    let link = |linker: &mut Linker<Guest<Option<Visit>>>| {
        edge::sql::add_to_linker::<_, HasSelf<Visit>>(linker, visit)?;
        edge::inputs::add_to_linker::<_, HasSelf<Visit>>(linker, visit)?;
        edge::page::add_to_linker::<_, HasSelf<Visit>>(linker, visit)?;
        edge::assets::add_to_linker::<_, HasSelf<Visit>>(linker, visit)?;
        edge::origin::add_to_linker::<_, HasSelf<Writes>>(linker, |guest| &mut visit(guest).writes)?;
        edge::blob::add_to_linker::<_, HasSelf<Writes>>(linker, |guest| &mut visit(guest).writes)
    };
    link(&mut linker).map_err(EngineError::Link)?;
    Ok(linker)
}

fn handler(engine: &Engine, archive: &Archive, name: &str) -> Result<Handler, EngineError> {
    let wasm = archive.component(name).expect("BUG: an archive holds every component of its manifest");
    let component = engine.component(wasm)?;
    let instance = handler_linker(component.engine())?.instantiate_pre(&component).map_err(EngineError::Link)?;
    let pre = ProxyPre::new(instance).map_err(EngineError::Link)?;
    Ok(Handler { pre, _component: component })
}

/// A static file's bytes, shared with the archive they came in.
pub(crate) fn shared(bytes: &Arc<[u8]>) -> Bytes {
    Bytes::from_owner(bytes.clone())
}
