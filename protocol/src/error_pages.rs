//! An app's own pages for what the host answers by itself: no such address, a handler that failed, too much at once.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Default)]
pub struct ErrorPages {
    exact: BTreeMap<u16, String>,
    /// For all other 4xx.
    client: Option<String>,
    /// For all other 5xx.
    server: Option<String>,
}

impl ErrorPages {
    /// `status` is `404`, `4xx` or `5xx`; `path` a static file, or, for what is the client's to mend, a route.
    pub(crate) fn add(&mut self, status: &str, path: String) -> Result<(), String> {
        let number = status.parse::<u16>().ok().filter(|number| (400..600).contains(number));
        let is_server = status == "5xx" || number.is_some_and(|number| number >= 500);
        if !path.starts_with('/') {
            return Err(format!("`{path}`: a path of this site expected, such as `/static/404.html`"));
        }
        if is_server && !path.starts_with("/static/") {
            return Err(format!(
                "`{path}`: when rendering fails, a page that must be rendered may fail as well: name one under `/static/`"
            ));
        }
        match (status, number) {
            (_, Some(number)) => {
                self.exact.insert(number, path);
            }
            ("4xx", _) => self.client = Some(path),
            ("5xx", _) => self.server = Some(path),
            _ => return Err("a status from 400 to 599 expected, or `4xx` or `5xx`".into()),
        }
        Ok(())
    }

    pub fn page(&self, status: u16) -> Option<&str> {
        let class = if status < 500 { &self.client } else { &self.server };
        self.exact.get(&status).or(class.as_ref()).map(String::as_str)
    }

    /// Each path with what it stands for.
    pub fn all(&self) -> impl Iterator<Item = (String, &str)> {
        let exact = self.exact.iter().map(|(status, path)| (status.to_string(), path.as_str()));
        let client = self.client.iter().map(|path| ("4xx".to_owned(), path.as_str()));
        let server = self.server.iter().map(|path| ("5xx".to_owned(), path.as_str()));
        exact.chain(client).chain(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_status_comes_before_its_class() {
        let mut pages = ErrorPages::default();
        pages.add("404", "/gone".into()).unwrap();
        pages.add("4xx", "/static/4xx.html".into()).unwrap();
        assert_eq!(pages.page(404), Some("/gone"));
        assert_eq!(pages.page(405), Some("/static/4xx.html"));
        assert_eq!(pages.page(500), None);
    }

    #[test]
    fn a_page_for_failures_needs_no_rendering() {
        let mut pages = ErrorPages::default();
        assert!(pages.add("503", "/sorry".into()).unwrap_err().contains("/static/"));
        assert!(pages.add("4040", "/x".into()).unwrap_err().contains("400 to 599"));
        assert!(pages.add("200", "/x".into()).unwrap_err().contains("400 to 599"));
        assert!(pages.add("404", "x".into()).unwrap_err().contains("a path of this site"));
    }
}
