//! A share of the machine's cores for one process, by a control group of the kernel's, as containers have it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::limits::{QUOTA_PERIOD, QUOTA_REMOVAL_TRIES, QUOTA_REMOVAL_WAIT};

/// Which of its two forms the kernel shows, and where.
const VERSION_1: &str = "/sys/fs/cgroup/cpu";
const VERSION_2: &str = "/sys/fs/cgroup";

/// The group, until it is dropped. Its process has to end first.
#[derive(Debug)]
pub struct Quota {
    folder: PathBuf,
}

impl Quota {
    /// Of so many cores, for `process` and what it starts. Needs to be root.
    pub fn of(process: u32, cores: f64) -> Result<Self> {
        let name = format!("nearside-bench-{}-{process}", std::process::id());
        let (period_us, quota_us) = (QUOTA_PERIOD.as_micros(), (QUOTA_PERIOD.as_micros() as f64 * cores) as u64);
        let (folder, files) = if Path::new(VERSION_1).join("cpu.cfs_quota_us").exists() {
            let files = [("cpu.cfs_period_us", period_us.to_string()), ("cpu.cfs_quota_us", quota_us.to_string())];
            (Path::new(VERSION_1).join(name), files.to_vec())
        } else if has_controller(Path::new(VERSION_2)) {
            (Path::new(VERSION_2).join(name), vec![("cpu.max", format!("{quota_us} {period_us}"))])
        } else {
            bail!("a share of a core needs control groups with `cpu`, in {VERSION_1} or {VERSION_2}; there is neither");
        };
        fs::create_dir(&folder).with_context(|| format!("making the control group {}", folder.display()))?;
        let quota = Self { folder };
        for (file, value) in files {
            quota.write(file, &value)?;
        }
        quota.write("cgroup.procs", &process.to_string())?;
        Ok(quota)
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, value).with_context(|| format!("writing {value:?} to {}", path.display()))
    }
}

fn has_controller(root: &Path) -> bool {
    let enabled = fs::read_to_string(root.join("cgroup.subtree_control"));
    enabled.is_ok_and(|names| names.split_whitespace().any(|name| name == "cpu"))
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The kernel takes a moment to see that the process is gone.
        for _ in 0..QUOTA_REMOVAL_TRIES {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            thread::sleep(QUOTA_REMOVAL_WAIT);
        }
        eprintln!("  the control group {} is left", self.folder.display());
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cpu;

    #[test]
    fn a_process_gets_no_more_than_its_share() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let quota = match Quota::of(busy.id(), 0.2) {
            Ok(quota) => quota,
            Err(error) => {
                println!("not tried: {error:#}");
                busy.kill().unwrap();
                busy.wait().unwrap();
                return;
            }
        };
        let used = || cpu::microseconds(busy.id()).unwrap() as f64;
        let (before, since) = (used(), Instant::now());
        thread::sleep(Duration::from_millis(1500));
        let share = (used() - before) / since.elapsed().as_micros() as f64;
        busy.kill().unwrap();
        busy.wait().unwrap();
        let folder = quota.folder.clone();
        drop(quota);
        assert!(share < 0.35, "it used {share:.2} of a core");
        assert!(!folder.exists());
    }
}
