//! The host's own page for people: a title, a text, a way back. No app has a say in it.

/// What it shows. Title and texts are the host's own and need no escaping; what an app or a visitor said is `said`.
pub struct PlainPage<'a> {
    /// Before the title where the browser shows it.
    pub code: Option<u16>,
    pub title: &'a str,
    pub text: &'a str,
    pub said: Option<&'a str>,
    pub again: Option<Again<'a>>,
}

/// It asks again by itself, without a script.
pub struct Again<'a> {
    pub after_s: u64,
    /// Elsewhere: a path of the host's own, which needs no escaping.
    pub at: Option<&'a str>,
}

impl PlainPage<'_> {
    pub fn html(&self) -> String {
        let PlainPage { title, text, .. } = self;
        let code = self.code.map(|code| format!("{code} ")).unwrap_or_default();
        let (again, link) = match &self.again {
            None => (String::new(), String::new()),
            Some(Again { after_s, at: None }) => {
                (format!("<meta http-equiv=refresh content={after_s}>"), String::new())
            }
            Some(Again { after_s, at: Some(path) }) => (
                format!("<meta http-equiv=refresh content=\"{after_s}; url={path}\">"),
                format!("<p><a href=\"{path}\">What has become of it</a></p>"),
            ),
        };
        let said = self.said.map(|said| format!("<p>{}</p>", escaped(said))).unwrap_or_default();
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">{again}\
             <title>{code}{title}</title><style>:root{{color-scheme:light dark}}body{{font:1.1rem/1.6 system-ui,sans-serif;\
             max-width:32rem;margin:15vh auto;padding:0 1.5rem}}h1{{font-size:1.4rem}}</style>\
             <h1>{title}</h1><p role=status>{text}</p>{said}{link}<p><a href=\"/\">To the start</a></p></html>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
