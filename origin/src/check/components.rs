//! Components: whether they are components, exported and linked as what they are used for, and what they import.

use std::{collections::BTreeSet, sync::Arc};

use nearside_host::{
    archive::Archive,
    engine::{Engine, EngineError},
};
use nearside_protocol::app::{self, App};
use wasmtime::component::Component;

use super::{
    finding::Finding,
    interface::Interface,
    manifest::Manifest,
    role::{self, EDGE, Refused, Role},
    rule::Rule,
};

/// The lines of versions that are linked.
const WASI_LINE: &str = "0.2";
const EDGE_LINE: &str = "0.1";

/// A component of the app, looked into.
pub(super) struct Part<'a> {
    name: &'a str,
    path: &'a str,
    line: Option<usize>,
    pub(super) roles: BTreeSet<Role>,
    imports: Vec<Interface>,
    exports: Vec<Interface>,
    compiled: Result<Arc<Component>, Finding>,
}

pub(super) fn parts<'a>(archive: &'a Archive, engine: &Engine, manifest: &Manifest) -> Vec<Part<'a>> {
    let app = &archive.app;
    let part = |(name, path): (&'a String, &'a String)| {
        let wasm = archive.component(name)?;
        let line = manifest.line_of(&["components", name]);
        let mut part = Part {
            name,
            path,
            line,
            roles: roles(app, name),
            imports: Vec::new(),
            exports: Vec::new(),
            compiled: Err(not_a_component(wasm, name, path, line)),
        };
        if is_component(wasm) {
            part.compiled = engine.component(wasm).map_err(|error| part.invalid(&error));
        }
        if let Ok(component) = &part.compiled {
            let kind = component.component_type();
            part.imports = kind.imports(component.engine()).map(|(name, _)| Interface::parse(name)).collect();
            part.exports = kind.exports(component.engine()).map(|(name, _)| Interface::parse(name)).collect();
        }
        Some(part)
    };
    app.components.iter().filter_map(part).collect()
}

fn roles(app: &App, component: &str) -> BTreeSet<Role> {
    let handler = app.routes.iter().any(|route| route.component == component).then_some(Role::Handler);
    let command = app.commands.values().any(|command| command.component == component).then_some(Role::Command);
    let task = app.tasks.values().any(|task| task.component == component).then_some(Role::Task);
    handler.into_iter().chain(command).chain(task).collect()
}

/// WebAssembly's header: the magic number, then version and layer. Layer 0 is a module, layer 1 a component.
fn is_component(wasm: &[u8]) -> bool {
    wasm.starts_with(MAGIC) && !wasm.starts_with(CORE_MODULE)
}

const MAGIC: &[u8] = b"\0asm";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn not_a_component(wasm: &[u8], name: &str, path: &str, line: Option<usize>) -> Finding {
    let (rule, what, fix) = if wasm.starts_with(CORE_MODULE) {
        (
            Rule::ComponentCoreModule,
            "is a core module, not a component",
            "build it with --target wasm32-wasip2 (not wasm32-wasip1, not wasm32-unknown-unknown)",
        )
    } else {
        (
            Rule::ComponentInvalid,
            "is not WebAssembly: the file does not begin with \\0asm",
            "name the .wasm file that the build makes; Rust puts it in target/wasm32-wasip2/release/",
        )
    };
    Finding::new(rule, app::FILE_NAME, line, format!("component `{name}` ({path}) {what}"), fix)
}

impl Part<'_> {
    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it imports an interface, such as `nearside:edge/sql`.
    pub(super) fn imports(&self, path: &str) -> bool {
        self.imports.iter().any(|import| import.path == path)
    }

    /// Whether what it imports is known.
    pub(super) fn is_readable(&self) -> bool {
        self.compiled.is_ok()
    }

    fn finding(&self, rule: Rule, what: &str, fix: impl Into<String>) -> Finding {
        let what = format!("component `{}` ({}) {what}", self.name, self.path);
        Finding::new(rule, app::FILE_NAME, self.line, what, fix)
    }

    fn invalid(&self, error: &EngineError) -> Finding {
        let what = format!("is not WebAssembly that can be run: {}", detail(error));
        self.finding(Rule::ComponentInvalid, &what, "build it for wasm32-wasip2: `nearside build`")
    }

    pub(super) fn check(&self) -> Vec<Finding> {
        let component = match &self.compiled {
            Ok(component) => component,
            Err(finding) => return vec![finding.clone()],
        };
        if let Some(finding) = self.version() {
            return vec![finding];
        }
        // With the wrong component in a place, what it imports is wrong as well.
        let misplaced: Vec<Finding> = self.roles.iter().filter_map(|role| self.exported_as(*role)).collect();
        if !misplaced.is_empty() {
            return misplaced;
        }
        let mut findings: Vec<Finding> = self.roles.iter().flat_map(|role| self.imported_as(*role)).collect();
        if !findings.iter().any(Finding::is_error) {
            findings.extend(self.roles.iter().filter_map(|role| self.linked_as(*role, component)));
        }
        findings
    }

    fn linked_as(&self, role: Role, component: &Component) -> Option<Finding> {
        let error = role.links(component).err()?;
        let what = format!("does not fit {}: {}", role.named(), detail(&error));
        Some(self.finding(Rule::ComponentLink, &what, "build it anew with the SDK this Nearside came with"))
    }

    /// One is enough: all of a component's interfaces come from the same toolchain.
    fn version(&self) -> Option<Finding> {
        let of = |interface: &Interface| {
            if interface.package.starts_with("wasi:") && !interface.is_of(WASI_LINE) {
                let what = format!("is built for another WASI: it has `{interface}`, and there is WASI {WASI_LINE}");
                return Some(self.finding(Rule::ComponentVersion, &what, "build it with --target wasm32-wasip2"));
            }
            if interface.package == EDGE && !interface.is_of(EDGE_LINE) {
                let what = format!("is built for another Nearside: it has `{interface}`, and there is {EDGE_LINE}");
                let fix = "build it anew with the SDK this Nearside came with";
                return Some(self.finding(Rule::ComponentVersion, &what, fix));
            }
            None
        };
        self.imports.iter().chain(&self.exports).find_map(of)
    }

    fn exported_as(&self, role: Role) -> Option<Finding> {
        if self.exports.iter().any(|export| export.path == role.export()) {
            return None;
        }
        let (what, fix) = if let Some(other) = self.exports.iter().find_map(Role::of_export) {
            (
                format!("is built as {}, and the manifest uses it as {}", other.named(), role.named()),
                format!("name a component that exports {}, or move this one to where it belongs", role.export()),
            )
        } else if self.exports.iter().any(|export| export.path == "wasi:cli/run") {
            (
                format!("is a program with a main function, and the manifest uses it as {}", role.named()),
                format!(
                    "make it a library (in Rust: crate-type = [\"cdylib\"], src/lib.rs) that exports {}",
                    role.export()
                ),
            )
        } else {
            (
                format!("does not export {}, and the manifest uses it as {}", role.export(), role.named()),
                format!("implement {} in it, with the SDK's macro", role.named()),
            )
        };
        Some(self.finding(Rule::ComponentRole, &what, fix))
    }

    fn imported_as(&self, role: Role) -> Vec<Finding> {
        let mut findings = Vec::new();
        for import in &self.imports {
            if let Err(refused) = role.grants(import) {
                let (fix, what) = match refused {
                    Refused::For(roles) => (
                        format!("{} is for {}: do this part of the work there", import.path, role::list(roles)),
                        format!("imports `{import}`, which is not for {}", role::list(&[role])),
                    ),
                    Refused::Unknown => (
                        "components are given WASI 0.2 and nearside:edge: do without the rest".to_owned(),
                        format!("imports `{import}`, which nobody is given here"),
                    ),
                };
                findings.push(self.finding(Rule::ComponentImport, &what, fix));
            }
        }
        if role != Role::Task && self.imports("wasi:http/outgoing-handler") {
            let what = format!(
                "can send HTTP requests (it imports wasi:http/outgoing-handler), and as {} each is refused",
                role.named()
            );
            let fix = "send requests in a task, which the answer does not wait for";
            findings.push(self.finding(Rule::ComponentHttpDenied, &what, fix));
        }
        findings
    }
}

/// The cause, in one line: engine errors go on over many lines of context.
fn detail(error: &EngineError) -> String {
    let text = match error {
        EngineError::Start(error) | EngineError::Compile(error) | EngineError::Link(error) => format!("{error:#}"),
        EngineError::TooMuch(error) => error.to_string(),
    };
    text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}
