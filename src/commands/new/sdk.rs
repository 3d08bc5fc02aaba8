//! The SDK for Rust, which a new app carries along in `vendor/`: its crates, and the workspace they take versions from.

use anyhow::{Context, bail};
use toml::{Table, Value};

use super::{Files, embedded, wit};

/// The SDK reads its interfaces at `../../wit`, so this layout is the repository's own.
const CRATES: &str = "vendor/modules";
const INTERFACES: &str = "vendor/wit";

const WORKSPACE_NOTE: &str =
    "# The SDK's own workspace, apart from the app's: its crates take versions and lints from it.\n\n";

pub(super) fn add(files: &mut Files) -> anyhow::Result<()> {
    files.insert(format!("{CRATES}/Cargo.toml"), format!("{WORKSPACE_NOTE}{}", workspace()?));
    files.extend(embedded::SDK.iter().map(|(path, text)| (format!("{CRATES}/{path}"), (*text).to_owned())));
    files.extend(wit::files().map(|(path, text)| (format!("{INTERFACES}/{path}"), text.to_owned())));
    Ok(())
}

/// What the SDK's workspace says of a crate, as it stands behind `name =`: an app and the SDK mean the same version.
pub(super) fn dependency(name: &str) -> anyhow::Result<String> {
    let workspace = parsed()?;
    let said = workspace.get("workspace").and_then(|it| it.get("dependencies")).and_then(|it| it.get(name));
    match said {
        Some(said) => Ok(said.to_string()),
        None => bail!("BUG: the SDK's workspace has no dependency `{name}`"),
    }
}

/// The workspace with the SDK's crates and nothing else of the repository's modules.
fn workspace() -> anyhow::Result<String> {
    let mut manifest = parsed()?;
    let workspace = manifest.get_mut("workspace").and_then(Value::as_table_mut);
    let workspace = workspace.context("BUG: the SDK's Cargo.toml has no [workspace]")?;
    let mut crates: Vec<&str> = embedded::SDK.iter().filter_map(|(path, _)| path.split('/').next()).collect();
    crates.dedup();
    workspace.insert("members".to_owned(), crates.into());
    workspace.remove("exclude");
    // The app's own workspace says how it is built.
    manifest.remove("profile");
    toml::to_string(&manifest).context("BUG: a manifest that was read cannot be written")
}

fn parsed() -> anyhow::Result<Table> {
    embedded::SDK_WORKSPACE.parse().context("BUG: the SDK's Cargo.toml cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendored_workspace_has_what_its_crates_inherit() {
        let workspace: Table = workspace().unwrap().parse().unwrap();
        let workspace = &workspace["workspace"];
        let members = workspace["members"].as_array().unwrap();
        assert!(members.contains(&Value::from("sdk")) && !members.contains(&Value::from("hello")), "{members:?}");
        for (path, text) in embedded::SDK.iter().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
            let manifest: Table = text.parse().unwrap();
            let dependencies = manifest["dependencies"].as_table().unwrap();
            for (name, _) in dependencies.iter().filter(|(_, said)| said.get("workspace").is_some()) {
                assert!(workspace["dependencies"].get(name).is_some(), "{path}: {name}");
            }
        }
    }
}
