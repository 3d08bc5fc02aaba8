//! `nearside new`: an app to begin with, which builds, passes its checks and can be pushed as it is.

mod embedded;
mod fill;
mod sdk;
mod template;
mod wit;

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use anyhow::{Context, bail};
use nearside_protocol::app;

use crate::cli::NewArgs;

pub use template::{Kind, Language};

/// Files by their path below the app's folder.
type Files = BTreeMap<String, String>;

pub fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let NewArgs { name, template, language } = args;
    if !app::is_name(name) {
        bail!(
            "`{name}` cannot be an app's name: 1 to 64 of a-z, 0-9 and `-` expected, beginning with a letter. The app's folder is made where you are"
        );
    }
    let files = template::files(*template, *language, name)?;
    let folder = Path::new(name);
    claim(folder)?;
    for (file, text) in &files {
        let path = folder.join(file);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    println!(
        "{name}: the {template} template in {language}, {} files in ./{name}\nNext, as its README.md says:\n  cd {name}\n  nearside dev --open",
        files.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder, or takes an empty one: nobody's files are mixed with the new ones.
fn claim(folder: &Path) -> anyhow::Result<()> {
    match fs::read_dir(folder).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_) => bail!("./{} is there already and not empty: take another name, or move it away", folder.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir(folder).with_context(|| format!("./{} cannot be made", folder.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            bail!("./{} is there already, and a file: take another name, or move it away", folder.display())
        }
        Err(error) => Err(error).with_context(|| format!("./{} cannot be read", folder.display())),
    }
}
