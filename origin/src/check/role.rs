//! What a component is used as, and what each use is granted.

use nearside_host::{code, engine::EngineError};
use wasmtime::component::Component;

use super::interface::Interface;
use crate::{command, task_guest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Handler,
    Command,
    Task,
}

const ROLES: [Role; 3] = [Role::Handler, Role::Command, Role::Task];

/// Interfaces of nearside:edge, and who may import them.
const GRANTS: &[(&str, &[Role])] = &[
    ("types", &ROLES),
    ("sql", &[Role::Handler]),
    ("page", &[Role::Handler]),
    ("assets", &[Role::Handler]),
    ("blob", &[Role::Handler, Role::Task]),
    ("blob-content", &[Role::Task]),
    ("inputs", &[Role::Handler]),
    ("origin", &[Role::Handler, Role::Task]),
    ("store", &[Role::Command]),
    ("step", &[Role::Task]),
    ("progress", &[Role::Task]),
];

/// Packages of WASI there is something of.
const WASI: &[&str] =
    &["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

pub(super) const EDGE: &str = "nearside:edge";

/// Why an import is not to be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refused {
    /// Nobody is offered it.
    Unknown,
    /// It is for these.
    For(&'static [Role]),
}

impl Role {
    pub(super) fn named(self) -> &'static str {
        match self {
            Role::Handler => "a handler",
            Role::Command => "a command",
            Role::Task => "a task",
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Role::Handler => "handlers",
            Role::Command => "commands",
            Role::Task => "tasks",
        }
    }

    /// The interface its component exports.
    pub(super) fn export(self) -> &'static str {
        match self {
            Role::Handler => "wasi:http/incoming-handler",
            Role::Command => "nearside:edge/command-handler",
            Role::Task => "nearside:edge/task-handler",
        }
    }

    /// The role an export is made for.
    pub(super) fn of_export(export: &Interface) -> Option<Role> {
        ROLES.into_iter().find(|role| role.export() == export.path)
    }

    /// Links a component against what its role is offered, without running it.
    pub(super) fn links(self, component: &Component) -> Result<(), EngineError> {
        match self {
            Role::Handler => links_as_handler(component),
            Role::Command => command::check(component),
            Role::Task => task_guest::check(component),
        }
    }

    pub(super) fn grants(self, import: &Interface) -> Result<(), Refused> {
        if import.package == EDGE {
            let granted = GRANTS.iter().find(|(name, _)| *name == import.name).map(|(_, roles)| *roles);
            return match granted {
                Some(roles) if roles.contains(&self) => Ok(()),
                Some(roles) => Err(Refused::For(roles)),
                None => Err(Refused::Unknown),
            };
        }
        if WASI.contains(&import.package.as_str()) { Ok(()) } else { Err(Refused::Unknown) }
    }
}

/// `handlers and tasks`.
pub(super) fn list(roles: &[Role]) -> String {
    roles.iter().map(|role| role.plural()).collect::<Vec<_>>().join(" and ")
}

fn links_as_handler(component: &Component) -> Result<(), EngineError> {
    let instance = code::handler_linker(component.engine())?.instantiate_pre(component).map_err(EngineError::Link)?;
    wasmtime_wasi_http::p2::bindings::ProxyPre::new(instance).map(drop).map_err(EngineError::Link)
}
