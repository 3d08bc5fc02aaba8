//! `nearside tasks`: what an app's tasks are doing, and steering them.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use nearside_host::origin_client::{bytes, whole};
use nearside_protocol::{
    limits,
    task_report::{Attempt, Steered, TaskInfo, TaskShown, Tasks},
    unix_time,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{age::age, places::OriginAccess};

/// Shows an app's tasks, and steers them
///
/// `list` shows each kind with what waits, runs and has failed for good, the crons, and the tasks themselves. `show` tells of
/// one task every attempt with its message, progress and log. A kind that is paused takes tasks and begins none. What is dead
/// is tried again with `retry`, or forgotten with `discard`: one task by its id, or all dead ones of a kind. docs/tasks.md
/// has the words.
#[derive(Args)]
#[command(after_help = "\
Examples:
  nearside tasks list --app packages --state dead --token-file origin-data/token
  nearside tasks show 71 --app packages
  nearside tasks pause announce-review --app packages
  nearside tasks retry announce-review --app packages")]
pub struct TasksArgs {
    #[command(subcommand)]
    pub command: TasksCommand,
}

#[derive(Subcommand)]
pub enum TasksCommand {
    /// Lists kinds, crons and tasks
    List {
        /// Of this state only
        #[arg(long, value_enum)]
        state: Option<TaskState>,
        /// Of this kind only
        #[arg(long)]
        kind: Option<String>,
        /// How many tasks, 1000 at most
        #[arg(long, value_name = "N", default_value_t = limits::TASKS_LISTED_UNASKED)]
        limit: usize,
        /// Begin after this id
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        of: TasksOf,
    },
    /// Shows one task with its whole history
    Show {
        /// The task's id
        id: u64,
        #[command(flatten)]
        of: TasksOf,
    },
    /// Begins no more tasks of a kind until it is resumed
    Pause {
        /// The kind's name
        kind: String,
        #[command(flatten)]
        of: TasksOf,
    },
    /// Goes on with a kind that was paused
    Resume {
        /// The kind's name
        kind: String,
        #[command(flatten)]
        of: TasksOf,
    },
    /// Tries a dead task again, or all dead ones of a kind
    Retry {
        /// A task's id, or a kind's name
        #[arg(value_name = "ID|KIND")]
        which: String,
        #[command(flatten)]
        of: TasksOf,
    },
    /// Forgets a task that is dead or waits, or all dead ones of a kind
    Discard {
        /// A task's id, or a kind's name
        #[arg(value_name = "ID|KIND")]
        which: String,
        #[command(flatten)]
        of: TasksOf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum TaskState {
    Due,
    Running,
    Done,
    Dead,
}

impl TaskState {
    fn name(self) -> &'static str {
        match self {
            TaskState::Due => "due",
            TaskState::Running => "running",
            TaskState::Done => "done",
            TaskState::Dead => "dead",
        }
    }
}

#[derive(Args)]
pub struct TasksOf {
    /// The app
    #[arg(long)]
    pub app: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub origin: OriginAccess,
}

pub async fn run(args: TasksArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        TasksCommand::List { state, kind, limit, after, of } => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &limit.to_string()).append_pair("after", &after.to_string());
            state.iter().for_each(|state| _ = query.append_pair("state", state.name()));
            kind.iter().for_each(|kind| _ = query.append_pair("kind", kind));
            let tasks: Tasks = ask(&of, Method::GET, &format!("?{}", query.finish())).await?;
            print(of.json, &tasks, list)?;
        }
        TasksCommand::Show { id, of } => {
            let task: TaskShown = ask(&of, Method::GET, &format!("/{id}")).await?;
            print(of.json, &task, show)?;
        }
        TasksCommand::Pause { kind, of } => steer(&of, &kind, "pause", "paused").await?,
        TasksCommand::Resume { kind, of } => steer(&of, &kind, "resume", "resumed").await?,
        TasksCommand::Retry { which, of } => steer(&of, &which, "retry", "tried again").await?,
        TasksCommand::Discard { which, of } => steer(&of, &which, "discard", "discarded").await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// As often as it takes: the origin changes so many in one go.
async fn steer(of: &TasksOf, which: &str, order: &str, done: &str) -> anyhow::Result<()> {
    let mut all = Steered { changed: 0, more: true };
    while all.more {
        let some: Steered = ask(of, Method::POST, &format!("/{which}/{order}")).await?;
        all = Steered { changed: all.changed + some.changed, more: some.more };
    }
    print(of.json, &all, |all| match order {
        "pause" | "resume" if all.changed == 0 => println!("`{which}` was {done} already"),
        "pause" | "resume" => println!("`{which}` is {done}"),
        _ => println!("{} {done}", counted(all.changed)),
    })
}

async fn ask<T: DeserializeOwned>(of: &TasksOf, method: Method, rest: &str) -> anyhow::Result<T> {
    let origin = super::origin_client(&of.origin)?;
    let request = origin.request(method, &format!("/v1/apps/{}/tasks{rest}", of.app)).body(bytes(Vec::new()))?;
    let answer = origin.send(request, limits::OUTBOUND_CONNECT * 2).await?;
    Ok(serde_json::from_slice(&whole(answer, limits::TASK_REPORT_BYTES).await?)?)
}

fn print<T: Serialize>(json: bool, found: &T, text: impl Fn(&T)) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(found)?);
    } else {
        text(found);
    }
    Ok(())
}

fn list(found: &Tasks) {
    let mut rows = vec![["kind", "due", "running", "done", "dead", ""].map(str::to_owned)];
    for (name, kind) in &found.kinds {
        let note = match (kind.paused_at_ms, kind.is_declared) {
            (Some(at), _) => format!("paused {} ago", age(at)),
            (None, false) => "not declared any more".to_owned(),
            (None, true) => String::new(),
        };
        let [due, running, done, dead] = [kind.due, kind.running, kind.done, kind.dead].map(|count| count.to_string());
        rows.push([name.clone(), due, running, done, dead, note]);
    }
    table(&rows);
    if !found.crons.is_empty() {
        let mut rows = vec![["cron", "schedule", "task", "last", "next"].map(str::to_owned)];
        for cron in &found.crons {
            let last = cron.done_at_ms.map_or("never".to_owned(), |at| format!("{} ago", age(at)));
            let (name, schedule, task) = (cron.name.clone(), cron.schedule.clone(), cron.task.clone());
            rows.push([name, schedule, task, last, in_future(cron.next_at_ms)]);
        }
        println!();
        table(&rows);
    }
    if found.tasks.is_empty() {
        return;
    }
    let mut rows = vec![["id", "kind", "state", "attempt", "queued", "due", "last error"].map(str::to_owned)];
    rows.extend(found.tasks.iter().map(row));
    println!();
    table(&rows);
    if let Some(last) = found.tasks.last().filter(|_| found.more) {
        println!("there are more: --after {}", last.id);
    }
}

fn row(task: &TaskInfo) -> [String; 7] {
    let due = if task.state == "due" { in_future(task.due_at_ms) } else { String::new() };
    let error = task.last_error.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
    let cut = error.floor_char_boundary(SHOWN_ERROR_BYTES);
    [
        task.id.to_string(),
        task.kind.clone(),
        task.state.clone(),
        format!("{} of {}", task.attempt, task.attempts),
        format!("{} ago", age(task.created_at_ms)),
        due,
        error[..cut].to_owned(),
    ]
}

const SHOWN_ERROR_BYTES: usize = 100;

fn show(found: &TaskShown) {
    let task = &found.task;
    println!(
        "task {} of kind `{}`: {}, {} of {} attempts, queued {} ago",
        task.id,
        task.kind,
        task.state,
        task.attempt,
        task.attempts,
        age(task.created_at_ms)
    );
    println!("payload {}", found.payload);
    if let Some(key) = &task.unique_key {
        println!("unique {key}");
    }
    if task.state == "due" {
        println!("due {}", in_future(task.due_at_ms));
    }
    found.steps.iter().for_each(|step| {
        println!("step `{}` done {} ago, {} bytes", step.name, age(step.done_at_ms), step.bytes);
    });
    found.history.iter().for_each(attempt);
}

fn attempt(attempt: &Attempt) {
    let how = attempt.how.as_deref().unwrap_or("running");
    let took = match attempt.ended_at_ms {
        Some(ended) => format!(" after {} ms", ended.saturating_sub(attempt.started_at_ms)),
        None => String::new(),
    };
    println!("attempt {}, {} ago: {how}{took}", attempt.number, age(attempt.started_at_ms));
    if let Some(message) = &attempt.message {
        println!("  {message}");
    }
    if let Some(progress) = &attempt.progress {
        println!("  progress: {progress}");
    }
    attempt.log.lines().for_each(|line| println!("  | {line}"));
}

fn in_future(at_ms: u64) -> String {
    let seconds = at_ms.saturating_sub(unix_time::now_ms()).div_ceil(1_000);
    match seconds {
        0 => "now".to_owned(),
        1..120 => format!("in {seconds} s"),
        120..7_200 => format!("in {} min", seconds / 60),
        7_200..172_800 => format!("in {} h", seconds / 3_600),
        _ => format!("in {} d", seconds / 86_400),
    }
}

fn counted(tasks: u64) -> String {
    if tasks == 1 { "1 task".to_owned() } else { format!("{tasks} tasks") }
}

fn table<const N: usize>(rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}
