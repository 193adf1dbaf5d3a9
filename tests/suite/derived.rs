//! What follows from the journal may be damaged or gone: the question is answered all the same, one line says what was made again, and
//! nothing of it stays for ever.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::House;

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[0] ^= 1;
    fs::write(path, bytes).expect("damaged");
}

/// What of the store was set aside.
fn aside(house: &House) -> Vec<PathBuf> {
    let entries = [house.store(), house.store().join("log")].into_iter().flat_map(|dir| fs::read_dir(dir).expect("a folder"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains(".broken-")).collect()
}

#[test]
fn damaged_views_are_named_once_and_what_is_left_of_them_is_cleared_away() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).exits(0);
    let list = ["list-runs", "--json"];
    let before = house.meno(list).exits(0).stdout;
    for _ in 0..3 {
        for index in ["views", "events"] {
            flip(&house.store().join("log").join(index).join("conf"));
        }
        let done = house.meno(list).exits(0);
        assert_eq!(done.stdout, before);
        for words in ["the views are broken", "the index of the log is broken"] {
            assert_eq!(done.stderr.matches(words).count(), 1, "{}", done.stderr);
        }
        for leaked in ["backtrace", "Corruption", "Io(", "sled", "None"] {
            assert!(!done.stderr.contains(leaked), "{}", done.stderr);
        }
        assert_eq!(house.meno(list).exits(0).stderr, "");
        // However often it breaks, one of each stays.
        assert_eq!(aside(&house).len(), 2, "{:?}", aside(&house));
    }
    let seen = house.meno(["doctor"]).exits(0).stdout;
    assert_eq!(seen.matches(".broken-").count(), 2, "{seen}");
    let repaired = house.meno(["doctor", "--repair"]).exits(0).stdout;
    assert!(!repaired.contains(".broken-"), "{repaired}");
    assert!(aside(&house).is_empty());
    house.meno(["audit"]).exits(0);
}

#[test]
fn a_file_in_the_place_of_a_derived_folder_is_in_nobodys_way() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).exits(0);
    let commands: [&[&str]; 5] =
        [&["list-runs", "--json"], &["search", "publish"], &["rebuild"], &["doctor", "--repair"], &["reindex", "--anew"]];
    for folder in ["log/events", "log/views", "log", "index"] {
        for command in commands {
            let path = house.store().join(folder);
            if path.exists() {
                fs::remove_dir_all(&path).expect("removed");
            }
            fs::write(&path, "text").expect("a file");
            let done = house.meno(command.iter().copied()).exits(0);
            // What a command does not need it does not open: then the audit is the first to say it.
            let said = done.stderr + &house.meno(["audit"]).exits(0).stderr;
            assert_eq!(said.matches("a file lies where").count(), 1, "{folder}: {command:?}: {said}");
        }
        let seen = house.meno(["doctor", "--repair"]).exits(0).stdout;
        assert!(!seen.contains("problem"), "{seen}");
        assert!(aside(&house).is_empty(), "{:?}", aside(&house));
    }
}
