//! The fleet as lines for a terminal: for `nearside top` and `nearside status`.

use nearside_host::origin_client::{ClientError, OriginClient};
use nearside_protocol::{
    fleet::{Fleet, Health, Node, Point, Window},
    limits, words,
};

const HEADS: [&str; 10] = ["NODE", "PLACE", "HEALTH", "REQUESTS", "P50", "P99", "HITS", "5XX", "CPU", "RELEASES"];
/// Steps of the trend that are drawn.
const DRAWN: usize = 12;

pub async fn ask(client: &OriginClient) -> Result<Fleet, ClientError> {
    let text = client.get("/v1/fleet", limits::FLEET_REPORT_BYTES).await?;
    serde_json::from_slice(&text).map_err(|error| ClientError::Malformed(error.to_string()))
}

/// At most as wide as the terminal, if its width is known.
pub fn table(fleet: &Fleet, columns: Option<usize>, colours: bool) -> Vec<String> {
    let fit = |line: &str| columns.map_or(line.to_owned(), |columns| cut(line, columns));
    let serving = fleet.nodes.iter().filter(|node| node.health == Health::Serving).count();
    let up = words::lasting(fleet.uptime_s * 1_000);
    let mut lines = vec![
        fit(&format!(
            "{serving} of {} serve   origin {}, up {up}   {}",
            words::count(fleet.nodes.len() as u64, "node", "nodes"),
            plain(&fleet.version),
            words::utc(fleet.now_ms)
        )),
        fit(&summary(&fleet.minute)),
    ];
    if fleet.nodes.is_empty() {
        return lines;
    }
    let mut nodes: Vec<&Node> = fleet.nodes.iter().collect();
    nodes.sort_by_key(|node| (node.declared.place.clone(), node.node.clone()));
    let rows: Vec<[String; 10]> = nodes.iter().map(|node| row(node, fleet)).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).chain([HEADS[at].len()]).max().unwrap_or(0);
    let widths: [usize; 10] = std::array::from_fn(width);
    let joined = |cells: &[String; 10]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.push(String::new());
    lines.push(paint(colours, GREY, &fit(&joined(&HEADS.map(str::to_owned)))));
    for (node, row) in nodes.iter().zip(&rows) {
        let colour = match node.health {
            Health::Serving => None,
            Health::Behind { .. } | Health::Unknown => Some(YELLOW),
            Health::Unready { .. } | Health::Silent { .. } => Some(RED),
        };
        let line = fit(&joined(row));
        lines.push(colour.map_or(line.clone(), |colour| paint(colours, colour, &line)));
        if let Some(why) = node.health.reason(fleet.now_ms) {
            lines.push(paint(colours, GREY, &fit(&format!("  {}", plain(&why)))));
        }
    }
    lines
}

/// All nodes in the last minute.
fn summary(minute: &Window) -> String {
    let us = |us: Option<u64>| us.map_or("–".to_owned(), words::micros);
    let each = |count: u64| words::number(count as f64 / minute.answers.max(1) as f64);
    format!(
        "{}/s   first byte p50 {}, p99 {}   hits {}   5xx {}   a request: {} renders, {} queries",
        words::number(minute.per_second(minute.answers)),
        us(minute.ttfb_p50_us),
        us(minute.ttfb_p99_us),
        minute.hits().ratio().map_or("–".to_owned(), words::percent),
        errors(minute),
        each(minute.renders),
        each(minute.query_runs)
    )
}

fn errors(window: &Window) -> String {
    words::percent(window.server_errors as f64 / window.answers.max(1) as f64)
}

fn row(node: &Node, fleet: &Fleet) -> [String; 10] {
    let minute = &node.minute;
    let us = |us: Option<u64>| us.map_or("–".to_owned(), words::micros);
    let told = node.told.as_ref();
    let releases = told.map(|told| {
        let one = |(app, beat): (&String, &nearside_protocol::heartbeat::AppBeat)| {
            let mark =
                if fleet.wanted(app, &node.node).is_some_and(|wanted| wanted != beat.release) { "*" } else { "" };
            format!("{} {}{mark}", plain(app), beat.release)
        };
        told.apps.iter().map(one).collect::<Vec<_>>().join(", ")
    });
    [
        plain(&node.node),
        node.declared.place.as_deref().map(plain).unwrap_or_default(),
        node.health.name().to_owned(),
        format!("{} {}/s", line(&node.trend), words::number(minute.per_second(minute.answers))),
        us(minute.ttfb_p50_us),
        us(minute.ttfb_p99_us),
        minute.hits().ratio().map_or("–".to_owned(), words::percent),
        errors(minute),
        told.and_then(|told| told.cpu_share).map_or("–".to_owned(), words::percent),
        releases.unwrap_or_default(),
    ]
}

/// Answers in the last steps, drawn.
fn line(trend: &[Point]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let last = &trend[trend.len().saturating_sub(DRAWN)..];
    let most = last.iter().map(|point| point.answers).max().unwrap_or(0).max(1);
    let block = |point: &Point| BLOCKS[(point.answers as u128 * 7 / u128::from(most)) as usize];
    format!("{:>DRAWN$}", last.iter().map(block).collect::<String>())
}

const RED: &str = "31";
const YELLOW: &str = "33";
const GREY: &str = "90";

fn paint(colours: bool, colour: &str, text: &str) -> String {
    if colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// What came from elsewhere moves no cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

pub fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}

#[cfg(test)]
mod tests {
    use nearside_protocol::heartbeat::Declared;

    use super::*;

    fn fleet(nodes: Vec<Node>) -> Fleet {
        let minute =
            Window { seconds: 60, answers: 600, server_errors: 6, ttfb_p50_us: Some(340), ..Window::default() };
        Fleet {
            version: "1".into(),
            uptime_s: 90,
            now_ms: 65_000,
            heads: Default::default(),
            candidates: Default::default(),
            nodes,
            minute,
            hour: Window::default(),
            trend: Vec::new(),
            trend_step_s: 10,
        }
    }

    fn node(name: &str, health: Health) -> Node {
        let point = |answers| Point { answers, ..Point::default() };
        Node {
            node: name.into(),
            declared: Declared { place: Some("zrh\x1b[2J".into()), ..Declared::default() },
            health,
            heard_at_ms: None,
            told: None,
            minute: Window { seconds: 60, answers: 120, ..Window::default() },
            hour: Window::default(),
            trend: [0, 4, 8].map(point).into(),
        }
    }

    #[test]
    fn a_fleet_is_a_few_lines_and_moves_no_cursor() {
        let nodes = vec![node("a", Health::Serving), node("b", Health::Silent { since_ms: 5_000 })];
        let lines = table(&fleet(nodes), None, false);
        assert!(lines[0].starts_with("1 of 2 nodes serve   origin 1, up 90 s"), "{lines:#?}");
        assert!(lines[1].starts_with("10/s   first byte p50 340 µs, p99 –   hits –   5xx 1.0 %"), "{lines:#?}");
        assert!(
            lines[4].contains("▁▄█ 2.0/s") && lines[5].contains("silent") && lines[6] == "  for 60 s",
            "{lines:#?}"
        );
        assert!(!lines.concat().contains('\x1b'));
        let narrow = table(&fleet(vec![node("a", Health::Serving)]), Some(20), false);
        assert!(narrow.iter().all(|line| line.chars().count() <= 20), "{narrow:#?}");
        assert_eq!(table(&fleet(Vec::new()), None, false).len(), 2);
    }
}
