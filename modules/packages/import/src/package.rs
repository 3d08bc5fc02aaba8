//! One package of the catalogue, as either source makes it.

/// Most packages in one catalogue. Debian's largest index has a fifth of this.
pub(crate) const PACKAGES_MAX: u32 = 500_000;

/// Longest package name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) section: String,
    /// One line.
    pub(crate) summary: String,
    /// Lines and paragraphs; empty when the source has only the summary.
    pub(crate) description: String,
    /// An `http:` or `https:` URL.
    pub(crate) homepage: Option<String>,
    /// A name, without the mail address.
    pub(crate) maintainer: String,
    /// What the installed package takes on disk.
    pub(crate) size_bytes: i64,
    pub(crate) tags: Vec<String>,
    /// Names, each once, in the order the package lists them, never the package itself. Not every
    /// target has to be in the catalogue.
    pub(crate) dependencies: Vec<String>,
}

/// Whether a text can be a package's name: what Debian allows, and the capitals and underscores of
/// third-party packages. A name is a path segment of the site, so nothing else gets in.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}
