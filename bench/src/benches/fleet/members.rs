//! The nodes of a fleet: each a process in a region, which reaches the origin over a line of its own, and its siblings over none
//! that takes time.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::{NAME, Ways};
use crate::connection::Connection;
use crate::limits::{EXCHANGE_TIMEOUT, FLEET_CACHE_MIB, FLEET_POLL, FLEET_REGIONS_MS, FLEET_SIBLINGS, SHOWN_TIMEOUT};
use crate::line::{Line, Lines};
use crate::nearside::{Beside, Cluster, Place, Setup};
use crate::ports;
use crate::request::Request;
use crate::response::Response;

pub(super) struct Fleet {
    // Dropped in this order: nodes before the lines they use, and before the origin.
    pub(super) members: Vec<Member>,
    /// The origin, and a node beside it.
    pub(super) cluster: Cluster,
    pub(super) lines: Lines,
}

pub(super) struct Member {
    node: Beside,
    /// Which of the regions.
    pub(super) region: usize,
    /// To the origin.
    pub(super) line: Line,
    /// By which siblings reach it.
    door: Line,
    /// Of a visitor beside it.
    connection: Option<Connection>,
}

/// Bytes of releases, of a while.
#[derive(Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) origin: u64,
    pub(super) siblings: u64,
}

impl Fleet {
    /// The origin with the app and its data, and a node beside it; no member yet.
    pub(super) async fn start(setup: &Setup<'_>) -> Result<Self> {
        let lines = Lines::start()?;
        Ok(Self { members: Vec::new(), cluster: Cluster::start(setup).await?, lines })
    }

    /// Starts so many nodes, in waves: each has one before it that it can pull from. Gives how long that took.
    pub(super) async fn join(&mut self, nodes: usize, ways: Ways, scratch: &Path) -> Result<Duration> {
        let addresses = ports::free(2 * nodes)?;
        let (visitors, admins) = addresses.split_at(nodes);
        let doors: Vec<Line> =
            admins.iter().map(|admin| self.lines.to(*admin, Duration::ZERO)).collect::<Result<_>>()?;
        let began = Instant::now();
        let mut doors: Vec<Option<Line>> = doors.into_iter().map(Some).collect();
        let urls: Vec<String> = doors.iter().flatten().map(|door| format!("http://{}", door.address)).collect();
        let mut there = 0;
        while there < nodes {
            let wave = (there.max(FLEET_REGIONS_MS.len())).min(nodes - there);
            for number in there..there + wave {
                let siblings = match ways {
                    Ways::Siblings => siblings_of(number, nodes),
                    Ways::OriginAlone => Vec::new(),
                };
                let siblings: Vec<&str> = siblings.iter().map(|sibling| urls[*sibling].as_str()).collect();
                let door = doors[number].take().context("BUG: a node is started once")?;
                let place = [visitors[number], admins[number]];
                self.members.push(self.start_member(number, place, door, &siblings, scratch)?);
            }
            for member in &mut self.members[there..] {
                member.node.wait_until_ready().await?;
            }
            there += wave;
        }
        Ok(began.elapsed())
    }

    fn start_member(
        &self,
        number: usize,
        [visitors, admin]: [SocketAddr; 2],
        door: Line,
        siblings: &[&str],
        scratch: &Path,
    ) -> Result<Member> {
        let region = number % FLEET_REGIONS_MS.len();
        let name = format!("{}ms-{}", FLEET_REGIONS_MS[region], number / FLEET_REGIONS_MS.len() + 1);
        let line = self.lines.to(self.cluster.origin.address, Duration::from_millis(FLEET_REGIONS_MS[region]))?;
        // All of them would compile the very same code, on the same cores.
        copy_folder(&scratch.join("node/compiled"), &scratch.join(format!("node-{name}/compiled")))?;
        let region_name = format!("{} ms", FLEET_REGIONS_MS[region]);
        let mut more = vec!["--place", region_name.as_str()];
        siblings.iter().for_each(|sibling| more.extend(["--sibling", *sibling]));
        let own = format!("http://{}", door.address);
        more.extend(["--admin-url", own.as_str()]);
        let folder = format!("node-{name}");
        let place = Place { name: &name, folder: &folder, visitors, admin, origin: line.address };
        let node = self.cluster.start_at(&place, Some(FLEET_CACHE_MIB), &more)?;
        Ok(Member { node, region, line, door, connection: None })
    }

    /// What was sent of releases since this was last asked.
    pub(super) fn take_sent(&self) -> Sent {
        let objects = |line: &Line| line.take_counts().0.values().sum::<u64>();
        Sent {
            origin: self.members.iter().map(|member| objects(&member.line)).sum(),
            siblings: self.members.iter().map(|member| objects(&member.door)).sum(),
        }
    }

    /// Waits until each member shows it at `path`. Gives how long each took, ascending.
    pub(super) async fn shown_by_all(
        &mut self,
        path: &str,
        shows: impl Fn(&str) -> bool,
        since: Instant,
    ) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        let mut waits: Vec<&mut Member> = self.members.iter_mut().collect();
        while !waits.is_empty() {
            ensure!(since.elapsed() < SHOWN_TIMEOUT, "{} nodes do not show it within {SHOWN_TIMEOUT:?}", waits.len());
            let mut still = Vec::new();
            for member in waits {
                match shows(&member.page(path).await?) {
                    true => took.push(since.elapsed()),
                    false => still.push(member),
                }
            }
            waits = still;
            sleep(FLEET_POLL).await;
        }
        Ok(took)
    }
}

impl Member {
    pub(super) fn address(&self) -> SocketAddr {
        self.node.address
    }

    /// What it answers a visitor beside it. A connection over which nothing was asked for a while may have ended.
    pub(super) async fn page(&mut self, path: &str) -> Result<String> {
        if let Some(connection) = self.connection.take()
            && let Ok(page) = self.page_over(connection, path).await
        {
            return Ok(page);
        }
        let connection = Connection::open(self.node.address, Response::keeping()).await?;
        self.page_over(connection, path).await
    }

    async fn page_over(&mut self, mut connection: Connection, path: &str) -> Result<String> {
        let request = Request::get(&format!("{NAME}.localhost"), path, &[]);
        let exchange = tokio::time::timeout(EXCHANGE_TIMEOUT, connection.exchange(&request)).await;
        exchange.context("a node does not answer")??;
        request.verify(&connection.response)?;
        let page = String::from_utf8_lossy(connection.response.body()).into_owned();
        self.connection = Some(connection);
        Ok(page)
    }
}

/// Of its own region: first the one that was there a wave earlier and gives to no other meanwhile, then its neighbours.
fn siblings_of(number: usize, nodes: usize) -> Vec<usize> {
    let regions = FLEET_REGIONS_MS.len();
    let (at, of) = (number / regions, nodes.saturating_sub(number % regions).div_ceil(regions));
    let mut ranks: Vec<usize> = Vec::new();
    // Waves double what is there: those of 2 to 3 have 0 to 1 before them, those of 4 to 7 have 0 to 3.
    ranks.extend((at > 0).then(|| at - (1 << at.ilog2())));
    ranks.extend((1..of).map(|step| (at + step) % of));
    let mut all: Vec<usize> = Vec::new();
    for rank in ranks {
        if rank != at && !all.contains(&rank) && all.len() < FLEET_SIBLINGS {
            all.push(rank);
        }
    }
    all.into_iter().map(|rank| rank * regions + number % regions).collect()
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()?.is_dir() {
            true => copy_folder(&from, &to)?,
            false => drop(fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_of_one_region_and_the_first_is_there_before() {
        for nodes in [1, 2, 3, 6, 30, 31] {
            for number in 0..nodes {
                let siblings = siblings_of(number, nodes);
                assert!(siblings.len() <= FLEET_SIBLINGS);
                assert!(
                    siblings.iter().all(|sibling| *sibling < nodes && *sibling != number),
                    "{number}: {siblings:?}"
                );
                assert!(siblings.iter().all(|sibling| sibling % 3 == number % 3), "{number}: {siblings:?}");
                if number >= 3 {
                    assert!(siblings[0] < number, "{number}: {siblings:?}");
                }
            }
        }
        assert_eq!(siblings_of(3 * 5 + 1, 30), [3 + 1, 3 * 6 + 1, 3 * 7 + 1]);
        assert_eq!(siblings_of(0, 2), [0; 0]);
    }
}
