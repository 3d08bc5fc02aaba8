//! `nearside new`: an app to begin with, which builds, passes its checks and can be pushed as it is.

mod embedded;
mod fill;
mod sdk;
mod template;
mod wit;

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use nearside_protocol::app;

use template::{Kind, Language};

/// Makes a new app to begin with
///
/// Creates the folder NAME with an app that builds, passes its checks and can be pushed as it is: manifest, sources,
/// styles, tests, a README, and the SDK it is built with, which is not in a registry. Everything in it is there to be
/// changed. In JavaScript and Python there is the page template.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside new hello
  nearside new shop --template search
  nearside new greetings --language python")]
pub struct NewArgs {
    /// The app's name, and its folder's: a-z, 0-9 and `-`, beginning with a letter
    pub name: String,
    /// What to begin with
    #[arg(long, value_enum, default_value_t = Kind::Page)]
    pub template: Kind,
    /// What to write it in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub language: Language,
}

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
