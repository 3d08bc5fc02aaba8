//! Who vouches for the code of each version of one app, as it came with the push: `vouchers/<digest>.json`.
//!
//! An app that was pushed without is vouched for by the origin's own key, which nodes may trust for that or not.

use std::{fs, io, path::PathBuf, time::SystemTime};

use nearside_host::disk::Disk;
use nearside_protocol::{digest::Digest, key::SecretKey, limits, voucher::AppVoucher};

#[derive(Clone)]
pub struct Vouchers {
    folder: PathBuf,
    disk: Disk,
}

impl Vouchers {
    /// Those of the app whose folder this is.
    pub fn new(app_folder: &std::path::Path, disk: Disk) -> Vouchers {
        Vouchers { folder: app_folder.join("vouchers"), disk }
    }

    /// Keeps a voucher, which was checked, for as long as releases may need it.
    pub fn keep(&self, digest: &Digest, voucher: &AppVoucher) -> io::Result<()> {
        self.disk.folder(&self.folder)?;
        let text = serde_json::to_vec(voucher).expect("BUG: a voucher is plain data");
        self.disk.write(&self.path(digest), &text)?;
        self.tidy()
    }

    /// The voucher that came with this code, else one by `own`.
    pub fn of(&self, app: &str, digest: &Digest, own: &SecretKey) -> AppVoucher {
        let kept = fs::read(self.path(digest)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        kept.unwrap_or_else(|| AppVoucher::sign(app, digest, own))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.json"))
    }

    /// Far more versions than there are releases of.
    fn tidy(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.folder)?
            .map(|entry| entry.and_then(|entry| Ok((entry.metadata()?.modified()?, entry.path()))))
            .collect::<Result<_, _>>()?;
        files.sort();
        let over = files.len().saturating_sub(limits::VOUCHERS_KEPT);
        files.into_iter().take(over).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voucher_stays_with_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let vouchers = Vouchers::new(folder.path(), Disk::real());
        let (own, developer) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
        let (code, other) = (Digest::of(b"code"), Digest::of(b"other"));
        let voucher = AppVoucher::sign("shop", &code, &developer);
        vouchers.keep(&code, &voucher).unwrap();
        assert_eq!(vouchers.of("shop", &code, &own), voucher);
        assert_eq!(vouchers.of("shop", &other, &own), AppVoucher::sign("shop", &other, &own));

        (0..=limits::VOUCHERS_KEPT as u64)
            .for_each(|number| vouchers.keep(&Digest::of(&number.to_le_bytes()), &voucher).unwrap());
        assert_eq!(fs::read_dir(folder.path().join("vouchers")).unwrap().count(), limits::VOUCHERS_KEPT);
    }
}
