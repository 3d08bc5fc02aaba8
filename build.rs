//! Puts the templates of `nearside new`, and the SDK and interfaces they are built against, into the binary.
//!
//! Whole folders are taken, so that a file added to the SDK is in the next app without being listed anywhere.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// What builds leave behind in a folder of sources.
const LEFT_BEHIND: &[&str] = &["target", "node_modules", ".venv", "__pycache__", "Cargo.lock", "package-lock.json"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let modules = root.join("modules");
    let is_sdk = |name: &str| name == "sdk" || name.starts_with("sdk-");

    let mut out = String::new();
    table(&mut out, "TEMPLATES", &root.join("templates"), |_| true)?;
    table(&mut out, "WIT", &root.join("wit"), |_| true)?;
    table(&mut out, "SDK", &modules, is_sdk)?;
    let workspace = modules.join("Cargo.toml");
    println!("cargo::rerun-if-changed={}", workspace.display());
    writeln!(out, "pub const SDK_WORKSPACE: &str = include_str!({:?});", workspace.display().to_string())
        .map_err(io::Error::other)?;
    fs::write(Path::new(&variable("OUT_DIR")?).join("embedded.rs"), out)
}

/// Writes a table of `(path below folder, text)`, in order of path, with what lies in the folders that `wanted` names.
fn table(out: &mut String, name: &str, folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    let mut files = Vec::new();
    for (file, path) in entries(folder)? {
        if !wanted(&file) {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        collect(&path, &file, &mut files)?;
    }
    let mut write = || -> std::fmt::Result {
        writeln!(out, "pub const {name}: &[(&str, &str)] = &[")?;
        for (file, path) in &files {
            writeln!(out, "    ({file:?}, include_str!({:?})),", path.display().to_string())?;
        }
        writeln!(out, "];")
    };
    write().map_err(io::Error::other)
}

fn collect(path: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    if !path.is_dir() {
        files.push((name.to_owned(), path.to_owned()));
        return Ok(());
    }
    for (entry, path) in entries(path)? {
        if !LEFT_BEHIND.contains(&entry.as_str()) && !entry.ends_with(".wasm") {
            collect(&path, &format!("{name}/{entry}"), files)?;
        }
    }
    Ok(())
}

/// What lies in a folder, by name.
fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = fs::read_dir(folder)?
        .map(|entry| {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| io::Error::other(format!("{}: its name is not UTF-8", path.display())))?;
            Ok((name.to_owned(), path))
        })
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
