//! What visitors do: the same for every contender at the same turn. Most look at something popular, some write.

use std::path::Path;

use anyhow::{Context, Result};

use super::picture::Picture;
use crate::hot::{self, Zipf};
use crate::limits::{HOT_ADDRESSES, STORY_PICTURES_SHARE, STORY_SEED, STORY_WRITES_SHARE};
use crate::random::Random;
use crate::request::{Request, Requests};

/// Between the parts of a form; in no picture, because a picture's bytes would have to spell it.
const BOUNDARY: &str = "----nearside-bench-8c4f1e0a5d7b";
/// What people write, about as long as reviews of software are.
const TEXT: &str = "It does what it says, and after a week I had stopped noticing it, which is the best one can say of a \
                    tool. The manual is short and right. On a slow machine it took a while to start, but once it ran it \
                    kept up with everything I gave it. I would like it to remember the size of its window.";

/// What is popular, and what is sent.
pub(super) struct Traffic {
    host: &'static str,
    pub(super) pages: Vec<Request>,
    zipf: Zipf,
    picture: Picture,
}

/// Draws from it for one turn.
struct Draws<'a> {
    traffic: &'a Traffic,
    random: Random,
}

impl Traffic {
    pub(super) fn new(host: &'static str, catalogue: &Path) -> Result<Self> {
        let pages = hot::requests(host, &hot::targets(catalogue, HOT_ADDRESSES)?);
        let zipf = Zipf::of(pages.len());
        Ok(Self { host, pages, zipf, picture: Picture::make()? })
    }

    /// What arrives in one turn, one after the other, dealt out to so many places in turn: of equal `number`s the same,
    /// but for a name by which reviews are told apart.
    pub(super) fn turn(&self, number: u64, name: u64, arrivals: usize, places: usize) -> Result<Vec<Requests>> {
        let mut draws = Draws { traffic: self, random: Random::new(STORY_SEED + number) };
        let mut dealt: Vec<Dealt> = (0..places).map(|_| Dealt::of(&self.pages)).collect();
        for arrival in 0..arrivals {
            let Dealt { list, order } = &mut dealt[arrival % places];
            let index = if draws.random.share() < STORY_WRITES_SHARE {
                list.push(draws.review(&format!("{name}-{arrival}"))?);
                list.len() - 1
            } else {
                draws.page()
            };
            order.push(u32::try_from(index)?);
        }
        dealt.into_iter().map(|Dealt { list, order }| Requests::in_order(list, order)).collect()
    }

    /// A review beside the others of the turn, to see when it is shown elsewhere; and the page that will show it.
    pub(super) fn probe(&self, name: u64, number: u64) -> Result<(Request, Request)> {
        let mut draws = Draws { traffic: self, random: Random::new(STORY_SEED + (1 << 32) + number) };
        let package = draws.package()?;
        let form = form(self.host, &package, &format!("{name}-look-{number}"), None);
        Ok((form, Request::get(self.host, &package, &[("Accept", "text/html")])))
    }

    pub(super) fn about(&self) -> String {
        format!(
            "{} addresses - home, sections, packages, searches - asked for by Zipf's law; {} % of requests post a review, \
             and one in {:.0} of these brings a picture, a {}. Whoever posts is led back to the package's page, and asks \
             for that, too",
            crate::table::number(self.pages.len() as f64),
            STORY_WRITES_SHARE * 100.0,
            1.0 / STORY_PICTURES_SHARE,
            self.picture.about,
        )
    }
}

/// What one place gets.
struct Dealt {
    list: Vec<Request>,
    order: Vec<u32>,
}

impl Dealt {
    fn of(pages: &[Request]) -> Self {
        Self { list: pages.to_vec(), order: Vec::new() }
    }
}

impl Draws<'_> {
    fn page(&mut self) -> usize {
        self.traffic.zipf.draw(&mut self.random)
    }

    /// People write about what people look at.
    fn package(&mut self) -> Result<String> {
        let pages = &self.traffic.pages;
        let mut drawn = (0..pages.len()).filter_map(|_| pages.get(self.page())).map(|page| &page.target);
        drawn.find(|target| target.starts_with("/package/")).cloned().context("nobody looks at a package")
    }

    fn review(&mut self, name: &str) -> Result<Request> {
        let package = self.package()?;
        let picture = (self.random.share() < STORY_PICTURES_SHARE).then(|| self.traffic.picture.named(name));
        Ok(form(self.traffic.host, &package, name, picture.as_deref()))
    }
}

/// As a browser sends it.
fn form(host: &str, package: &str, name: &str, picture: Option<&[u8]>) -> Request {
    let words = format!("Review {name}.");
    let rating = 1 + name.bytes().map(usize::from).sum::<usize>() % 5;
    let fields =
        [("author", format!("Visitor {name}")), ("rating", rating.to_string()), ("body", format!("{words} {TEXT}"))];
    let mut body = Vec::new();
    for (field, value) in fields {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
        body.extend_from_slice(format!("{head}{value}\r\n").as_bytes());
    }
    // A browser sends the field also when no file was chosen.
    let (file, media_type) =
        if picture.is_some() { ("picture.jpg", "image/jpeg") } else { ("", "application/octet-stream") };
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"{file}\"\r\n\
         Content-Type: {media_type}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(picture.unwrap_or_default());
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [("Accept", "text/html"), ("Content-Type", content_type.as_str())];
    Request::with_body("POST", host, &format!("{package}/reviews"), &headers, &body).showing(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        let targets: Vec<String> = (0..100).map(|number| format!("/package/p{number}")).collect();
        let pages = hot::requests("h", &targets);
        Traffic { host: "h", zipf: Zipf::of(pages.len()), pages, picture: Picture::make().unwrap() }
    }

    #[test]
    fn a_turn_is_the_same_for_everyone_and_another_is_not() {
        let traffic = traffic();
        let targets = |number, places| {
            let dealt = traffic.turn(number, 9, 400, places).unwrap();
            let mut all = Vec::new();
            for at in 0..400 {
                all.push(dealt[at % places].next().bytes.clone());
            }
            all
        };
        assert_eq!(targets(1, 1), targets(1, 2));
        assert_ne!(targets(1, 1), targets(2, 1));
    }

    #[test]
    fn some_write_and_some_of_them_send_a_picture() {
        let dealt = traffic().turn(1, 7, 20_000, 1).unwrap();
        let (mut forms, mut pictures) = (0, 0);
        for _ in 0..20_000 {
            let request = dealt[0].next();
            if let Some(words) = &request.shows {
                assert!(request.target.ends_with("/reviews") && words.starts_with("Review 7-"));
                forms += 1;
                pictures += usize::from(request.bytes.len() > 10_000);
            }
        }
        assert!((300..500).contains(&forms), "{forms}");
        assert!((20..70).contains(&pictures), "{pictures}");
    }
}
