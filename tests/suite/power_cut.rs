//! Power cuts on a real disk: an ext4 on a loop device that stops taking writes at some instant, as `EXT4_IOC_SHUTDOWN` does it for the
//! tests of the file system itself. What was not synced is lost; what was acknowledged must be there when it is mounted again.
//!
//! It needs root, a loop device, mkfs.ext4 and perl; without them it says so and checks nothing, which is a failure where `.ci/run`
//! has found them. The recording file layer in `store::journal` checks the same order of writes and syncs everywhere.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{House, assert_kept, assert_nothing_repeated, cannot_check};

/// Bytes of the disk.
const DISK: u64 = 96 << 20;

/// A file system in a file, mounted as long as it lives.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes a disk and mounts it below `dir`; says why that cannot be done here.
    fn new(dir: &Path) -> Result<Self, String> {
        let disk = Self { image: dir.join("disk.img"), mount: dir.join("disk") };
        let file = std::fs::File::create(&disk.image).map_err(|error| error.to_string())?;
        file.set_len(DISK).map_err(|error| error.to_string())?;
        std::fs::create_dir(&disk.mount).map_err(|error| error.to_string())?;
        run(Command::new("perl").args(["-e", "1"]))?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&disk.image))?;
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount))
    }

    /// Cuts the power: nothing more reaches the disk, not even what the file system has in its journal's memory.
    fn cut(&self) -> Result<(), String> {
        // _IOR('X', 125, u32) with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let shutdown =
            r#"open(my $dir, "<", $ARGV[0]) or die $!; my $how = pack("L", 2); ioctl($dir, 0x8004587d, $how) or die $!"#;
        run(Command::new("perl").args(["-e", shutdown]).arg(&self.mount))
    }

    fn unmount(&self) -> Result<(), String> {
        // Somebody else may look at the mounts of this machine for a moment.
        for _ in 0..50 {
            if run(Command::new("umount").arg(&self.mount)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        run(Command::new("umount").arg(&self.mount))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Left mounted, the temporary folder could not be removed.
        let _ = run(Command::new("umount").arg("-l").arg(&self.mount));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&done.stderr).trim()))
}

#[test]
fn what_was_acknowledged_is_on_the_disk_when_the_power_goes() {
    // Lines of a run after which the power goes: while it begins, in the middle, near its end.
    for lines in [1, 9, 30, 55, 80, 120] {
        let house = House::with_delay(2);
        let disk = match Disk::new(&house.path("")) {
            Ok(disk) => disk,
            Err(why) => return cannot_check("power_cut", &why),
        };
        std::fs::create_dir(disk.mount.join("store")).expect("a folder");
        symlink(disk.mount.join("store"), house.store()).expect("a link");
        let mut running = house.start(["run", "python_package_publish", "--no-input", "--seed", "7", "--json"]);
        for _ in 0..lines {
            running.line().expect("the run goes on");
        }
        disk.cut().expect("the disk can be cut off");
        let printed: Vec<Value> = running.kill().lines().into_iter().filter(|line| line["type"] == "event").collect();
        assert!(printed.len() + 1 >= lines, "what was printed is what was acknowledged");
        disk.unmount().expect("unmounted");
        disk.mount().expect("mounted again");

        let id = printed[0]["run_id"].as_str().expect("an id");
        let resumed = house.meno(["resume", id, "--json"]);
        // A run that had ended has nothing to go on with, and says so.
        assert!(matches!(resumed.code, Some(0 | 1)), "cut after {lines} lines: {}", resumed.stderr);
        let journal = house.journal();
        assert_kept(&printed, &journal);
        assert_nothing_repeated(&journal);
        let shown = house.meno(["show-run", id, "--json"]).exits(0).stdout;
        let status: Value = serde_json::from_str(&shown).expect("a document");
        assert_eq!(status["status"], "succeeded", "cut after {lines} lines");
    }
}
