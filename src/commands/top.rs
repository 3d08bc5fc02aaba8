//! `nearside top`: the fleet in a terminal, as it goes.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use clap::Args;
use nearside_host::origin_client::{ClientError, OriginClient};
use nearside_protocol::fleet::Fleet;

use crate::{fleet_table, places::OriginAccess};

/// Shows the fleet as it goes: nodes, requests, first bytes, hits, errors, load, releases
///
/// All of it is what nodes tell the origin every few seconds; rates and times are those of the last minute. A page with more
/// is at the origin's address, /fleet. Ends with Ctrl-C; with --once it prints what there is and ends, with 1 when the
/// origin does not answer.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside top --token-file origin-data/token
  nearside top --token-file origin-data/token --once --json | jq '.nodes[] | {node, health}'")]
pub struct TopArgs {
    /// Print once and end
    #[arg(long)]
    pub once: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// How often it is asked
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    #[command(flatten)]
    pub origin: OriginAccess,
}

/// The other screen, without a cursor; and the usual one again.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the corner, so that what is there is written over: nothing flickers.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

pub async fn run(args: TopArgs) -> anyhow::Result<ExitCode> {
    let client = super::origin_client(&args.origin)?;
    if args.once {
        let fleet = ask(&client).await?;
        print(&fleet, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let stop = super::shutdown()?;
    let screen = (std::io::stdout().is_terminal() && !args.json).then(Screen::enter).transpose()?;
    let follows = async {
        let mut every = tokio::time::interval(Duration::from_secs(args.interval));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            every.tick().await;
            let asked = ask(&client).await;
            match &screen {
                Some(screen) => {
                    let fault = asked.as_ref().err().map(ToString::to_string);
                    last = asked.ok().or(last);
                    screen.show(last.as_ref(), fault.as_deref())?;
                }
                // Whoever reads this is a program: an end is the clearest word.
                None => print(&asked?, args.json)?,
            }
        }
    };
    tokio::select! {
        ended = follows => ended,
        () = stop() => Ok(ExitCode::SUCCESS),
    }
}

async fn ask(client: &OriginClient) -> Result<Fleet, ClientError> {
    fleet_table::ask(client).await
}

fn print(fleet: &Fleet, json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string(fleet)?,
        false => fleet_table::table(fleet, None, std::io::stdout().is_terminal()).join("\n"),
    };
    // Whoever read it may have gone.
    if writeln!(std::io::stdout(), "{text}").is_err() {
        bail!("nobody reads on");
    }
    Ok(())
}

/// The terminal's other screen, as long as this is held.
struct Screen;

impl Screen {
    fn enter() -> std::io::Result<Screen> {
        write(ENTER)?;
        Ok(Screen)
    }

    fn show(&self, fleet: Option<&Fleet>, fault: Option<&str>) -> std::io::Result<()> {
        let (columns, rows) = terminal_size::terminal_size()
            .map_or((100, 40), |(columns, rows)| (usize::from(columns.0), usize::from(rows.0)));
        let mut lines = fleet.map(|fleet| fleet_table::table(fleet, Some(columns), true)).unwrap_or_default();
        if let Some(fault) = fault {
            lines.insert(0, fleet_table::cut(&fleet_table::plain(fault), columns));
        }
        lines.truncate(rows.saturating_sub(1));
        let text: String = lines.iter().map(|line| format!("{line}{REST_OF_LINE}\r\n")).collect();
        write(&format!("{HOME}{text}{REST_OF_SCREEN}"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = write(LEAVE);
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
