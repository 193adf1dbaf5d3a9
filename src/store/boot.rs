//! Since when nothing that was written can have been lost: what is not synced goes with the machine or its disk, never with a process.

use std::path::Path;

/// Returns the name of the time that began when the machine was started and the disk with the folder `dir` was mounted, fit for the name of
/// a file: what was written there since, synced or not, is there. `None` where such times cannot be told apart.
#[cfg(target_os = "linux")]
pub fn since(dir: &Path) -> Option<String> {
    use std::sync::LazyLock;

    use rustix::fs::{AtFlags, StatxFlags, statx};

    /// The file that tells one start of the machine from another.
    const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
    /// Asks for a mount's number that is never used again (since Linux 6.8).
    const MOUNT_UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
        let told = std::fs::read_to_string(BOOT_ID).ok()?;
        let told = told.trim();
        let is_name = (1..=64).contains(&told.len()) && told.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_name.then(|| told.to_owned())
    });
    let found = statx(std::fs::File::open(dir).ok()?, "", AtFlags::EMPTY_PATH, MOUNT_UNIQUE).ok()?;
    let is_told = StatxFlags::from_bits_retain(found.stx_mask).contains(MOUNT_UNIQUE);
    BOOT.as_ref().filter(|_| is_told).map(|boot| format!("{boot}.{:x}", found.stx_mnt_id))
}

/// Returns `None`: such times cannot be told apart here.
#[cfg(not(target_os = "linux"))]
pub fn since(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_other_mounts_have_other_names() {
        let (Some(own), Some(other)) = (since(Path::new("/proc")), since(Path::new("/sys"))) else { return };
        assert_ne!(own, other);
        assert_eq!(since(Path::new("/proc")), Some(own));
    }
}
