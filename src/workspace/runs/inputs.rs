//! Reads the material given with `--input`: files, folders and texts, without what should never leave the machine.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::domain::event::{InputAttached, InputAttachedPrivate, InputKind, OmissionRule};
use crate::domain::omission;
use crate::domain::redact::Redactor;
use crate::domain::template::{InputKindSpec, InputSpec};
use crate::domain::text::Text;

/// Files above this size are left out.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;
/// All files of one input together.
pub const INPUT_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Files of one input.
pub const INPUT_FILES_MAX: usize = 2000;
/// Files and folders that are looked at in one folder. What comes after them is counted and left out.
const ENTRIES_MAX: usize = 50_000;
/// Names of what was left out that are recorded.
const NAMES_MAX: usize = 500;

/// Why material cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The template has no such input.
    #[error("input `{id}` is not one of the template's{}", known_words(known))]
    Unknown {
        /// The id given.
        id: String,
        /// The ids that there are.
        known: Vec<String>,
    },
    /// No path was given.
    #[error("input `{id}`: no path is given: write it as `--input {id}=PATH`")]
    NoPath {
        /// The input.
        id: String,
    },
    /// It cannot be read.
    #[error("input `{id}`: {}: {source}", path.display())]
    Unreadable {
        /// The input.
        id: String,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A folder where a file belongs, or the other way round.
    #[error("input `{id}`: {} is not a {expected}", path.display())]
    WrongKind {
        /// The input.
        id: String,
        /// The file or folder.
        path: PathBuf,
        /// What the template wants.
        expected: &'static str,
    },
    /// The one file of the input cannot be taken.
    #[error("input `{id}`: {}: {why}", path.display())]
    Unsuited {
        /// The input.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nothing in the folder could be taken.
    #[error("input `{id}`: {} holds no file that can be taken{}", path.display(), left_out_words(left_out))]
    Empty {
        /// The input.
        id: String,
        /// The folder.
        path: PathBuf,
        /// What was left out, by rule with the first names; empty when there is nothing in it.
        left_out: String,
    },
}

fn known_words(known: &[String]) -> String {
    match known {
        [] => ", which has none".to_owned(),
        known => format!(": {}", known.join(", ")),
    }
}

fn left_out_words(left_out: &str) -> String {
    if left_out.is_empty() { ": it is empty".to_owned() } else { format!("; left out: {left_out}") }
}

/// Reads one input. Texts are redacted here, so that everything after sees one text.
///
/// A value for an input of kind `text` that names no file is the text itself.
///
/// # Errors
/// An [`InputError`] names the input, the file and what to do about it.
pub fn read(specs: &[InputSpec], id: &str, value: &str, redactor: &Redactor) -> Result<InputAttached, InputError> {
    let known = || specs.iter().map(|spec| spec.id.clone()).collect();
    let spec = specs.iter().find(|spec| spec.id == id);
    // A template of the peer's form declares no inputs: then any is welcome.
    let kind = match spec {
        Some(spec) => spec.kind,
        None if specs.is_empty() && Path::new(value).is_dir() => InputKindSpec::Dir,
        None if specs.is_empty() => InputKindSpec::File,
        None => return Err(InputError::Unknown { id: id.to_owned(), known: known() }),
    };
    if value.is_empty() && kind != InputKindSpec::Text {
        return Err(InputError::NoPath { id: id.to_owned() });
    }
    let path = PathBuf::from(value);
    let input = Reader { id, redactor, texts: Vec::new(), omissions: Vec::new(), counts: BTreeMap::new(), bytes: 0 };
    match kind {
        InputKindSpec::Dir => input.dir(&path),
        InputKindSpec::File => input.file(&path, InputKind::File),
        InputKindSpec::Text if path.is_file() => input.file(&path, InputKind::Text),
        InputKindSpec::Text => Ok(input.text(value)),
    }
}

struct Reader<'a> {
    id: &'a str,
    redactor: &'a Redactor,
    texts: Vec<(String, Text)>,
    /// The first that were left out: rule, name and why.
    omissions: Vec<(OmissionRule, String, String)>,
    /// How many were left out, by the rule's place among all.
    counts: BTreeMap<usize, u32>,
    bytes: u64,
}

impl Reader<'_> {
    fn text(mut self, text: &str) -> InputAttached {
        self.take("text".to_owned(), text);
        self.done("(given on the command line)".to_owned(), InputKind::Text)
    }

    fn file(mut self, path: &Path, kind: InputKind) -> Result<InputAttached, InputError> {
        let id = self.id.to_owned();
        let unreadable = |source| InputError::Unreadable { id: id.clone(), path: path.to_owned(), source };
        if path.is_dir() {
            return Err(InputError::WrongKind { id, path: path.to_owned(), expected: "file" });
        }
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        let unsuited = |why: String| InputError::Unsuited { id: id.clone(), path: path.to_owned(), why };
        if !metadata.is_file() {
            return Err(unsuited("neither a regular file nor a folder".to_owned()));
        }
        let too_large =
            |bytes: u64| unsuited(format!("{bytes} bytes are more than the {INPUT_BYTES_MAX} that an input may have"));
        if metadata.len() > INPUT_BYTES_MAX {
            return Err(too_large(metadata.len()));
        }
        let content = read_at_most(path, INPUT_BYTES_MAX).map_err(unreadable)?.ok_or_else(|| too_large(INPUT_BYTES_MAX + 1))?;
        let text = String::from_utf8(content).map_err(|_| unsuited("not a text in UTF-8".to_owned()))?;
        let name = path.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned());
        self.take(name, &text);
        Ok(self.done(path.display().to_string(), kind))
    }

    fn dir(mut self, root: &Path) -> Result<InputAttached, InputError> {
        let id = self.id.to_owned();
        let metadata =
            std::fs::metadata(root).map_err(|source| InputError::Unreadable { id: id.clone(), path: root.to_owned(), source })?;
        if !metadata.is_dir() {
            return Err(InputError::WrongKind { id, path: root.to_owned(), expected: "folder" });
        }
        let name_of = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        // Hidden files stay out, .gitignore counts even outside a git checkout, links are not followed out of the folder.
        let walk = ignore::WalkBuilder::new(root).require_git(false).sort_by_file_path(Path::cmp).build();
        let mut seen: HashSet<PathBuf> = HashSet::new();
        let mut folders = Vec::new();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let name = faulty_path(&error).map_or_else(|| "?".to_owned(), name_of);
                    self.leave_out(OmissionRule::Unreadable, name, error.to_string());
                    continue;
                }
            };
            let name = name_of(entry.path());
            if seen.len() >= ENTRIES_MAX {
                // From here on files are counted, and what was passed over is not looked for.
                folders.clear();
                if entry.file_type().is_some_and(|kind| kind.is_file()) {
                    let why = format!("only the first {ENTRIES_MAX} files and folders are looked at");
                    self.leave_out(OmissionRule::Limit, name, why);
                }
                continue;
            }
            seen.insert(entry.path().to_owned());
            match entry.file_type() {
                Some(kind) if kind.is_dir() => folders.push(entry.into_path()),
                Some(kind) if kind.is_file() => match self.omission(entry.path(), &name) {
                    Ok(text) => self.take(name, &text),
                    Err((rule, why)) => self.leave_out(rule, name, why),
                },
                Some(kind) if kind.is_symlink() => {
                    self.leave_out(OmissionRule::Link, name, "links are not followed".to_owned());
                }
                _ => self.leave_out(OmissionRule::Unreadable, name, "not a regular file".to_owned()),
            }
        }
        for folder in folders {
            self.passed_over(&folder, &seen, &name_of);
        }
        if self.texts.is_empty() {
            let (omitted, names) = (self.omitted(), self.omissions.iter().map(|(rule, name, _)| (*rule, name.as_str())));
            let left_out = omission::in_words(&omitted, names, 3);
            return Err(InputError::Empty { id, path: root.to_owned(), left_out });
        }
        Ok(self.done(root.display().to_string(), InputKind::Dir))
    }

    /// Names what a walk passed over in a folder without a word: what is hidden or ignored. An ignored folder counts as one.
    fn passed_over(&mut self, folder: &Path, seen: &HashSet<PathBuf>, name_of: &dyn Fn(&Path) -> String) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let unseen = entries.flatten().filter(|entry| !seen.contains(&entry.path()));
        let mut unseen: Vec<(PathBuf, bool)> =
            unseen.map(|entry| (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()))).collect();
        unseen.sort();
        for (path, is_dir) in unseen {
            let name = name_of(&path);
            let base = name.rsplit('/').next().unwrap_or(&name);
            let (rule, why) = if !is_dir && may_hold_secrets(&name) {
                (OmissionRule::Secret, SECRET)
            } else if base.starts_with('.') {
                (OmissionRule::Hidden, "its name begins with a dot")
            } else {
                (OmissionRule::Ignored, "a .gitignore or .ignore file names it")
            };
            self.leave_out(rule, if is_dir { format!("{name}/") } else { name }, why.to_owned());
        }
    }

    /// Returns the file's text, or by which rule and why it is left out.
    fn omission(&self, path: &Path, name: &str) -> Result<String, (OmissionRule, String)> {
        if may_hold_secrets(name) {
            return Err((OmissionRule::Secret, SECRET.to_owned()));
        }
        if self.texts.len() >= INPUT_FILES_MAX {
            return Err((OmissionRule::Limit, format!("more than {INPUT_FILES_MAX} files")));
        }
        let unreadable = |error: std::io::Error| (OmissionRule::Unreadable, error.to_string());
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        let too_large = |bytes: u64| (OmissionRule::TooLarge, format!("{bytes} bytes are more than {FILE_BYTES_MAX}"));
        if bytes > FILE_BYTES_MAX {
            return Err(too_large(bytes));
        }
        if self.bytes + bytes > INPUT_BYTES_MAX {
            return Err((OmissionRule::Limit, format!("the input would pass {INPUT_BYTES_MAX} bytes")));
        }
        let content = read_at_most(path, FILE_BYTES_MAX).map_err(unreadable)?.ok_or_else(|| too_large(FILE_BYTES_MAX + 1))?;
        String::from_utf8(content).map_err(|_| (OmissionRule::NotText, "not a text in UTF-8".to_owned()))
    }

    fn take(&mut self, name: String, text: &str) {
        let text = self.redactor.redact_answer(text).into_owned();
        self.bytes += text.len() as u64;
        self.texts.push((name, Text::Inline(text)));
    }

    fn leave_out(&mut self, rule: OmissionRule, name: String, why: String) {
        *self.counts.entry(rule as usize).or_default() += 1;
        if self.omissions.len() < NAMES_MAX {
            self.omissions.push((rule, name, why));
        }
    }

    fn omitted(&self) -> Vec<(OmissionRule, u32)> {
        let count = |(place, rule): (usize, &OmissionRule)| Some((*rule, *self.counts.get(&place)?));
        OmissionRule::ALL.iter().enumerate().filter_map(count).collect()
    }

    fn done(self, path: String, kind: InputKind) -> InputAttached {
        let omitted = self.omitted();
        let rules = self.omissions.iter().map(|(rule, ..)| *rule).collect();
        let omissions = self.omissions.into_iter().map(|(_, name, why)| (name, why)).collect();
        InputAttached {
            input: self.id.to_owned(),
            kind,
            files: self.texts.len() as u32,
            bytes: self.bytes,
            left_out: omitted.iter().map(|(_, count)| *count).sum(),
            omitted,
            private: Some(InputAttachedPrivate { path, texts: self.texts, omissions, rules }),
        }
    }
}

const SECRET: &str = "files of this name usually hold secrets";

/// Reads a file of at most `most` bytes; `None` when it has more, whatever its metadata said.
fn read_at_most(path: &Path, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(most + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= most).then_some(content))
}

/// Returns the file or folder that a walk stumbled over.
fn faulty_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => faulty_path(err),
        _ => None,
    }
}

/// Returns whether a file of this name usually holds secrets.
fn may_hold_secrets(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    const ENDS: [&str; 7] = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx"];
    const NAMES: [&str; 10] = [
        ".env",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        "credentials",
        "credentials.json",
        "secrets.json",
        "secrets.yaml",
        "secrets.yml",
    ];
    ENDS.iter().any(|end| base.ends_with(end))
        || NAMES.contains(&base.as_str())
        || base.starts_with(".env.")
        || base.starts_with("id_rsa")
        || base.starts_with("id_ed25519")
        || base.starts_with("id_ecdsa")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> InputSpec {
        serde_json::from_value(serde_json::json!({"id": "source", "kind": "dir", "description": "code"})).expect("an input")
    }

    fn read_dir(path: &Path) -> Result<InputAttached, InputError> {
        read(&[spec()], "source", &path.display().to_string(), &Redactor::new::<&str>([]))
    }

    fn names(input: &InputAttached) -> Vec<(OmissionRule, String)> {
        let private = input.private.as_ref().expect("private");
        private.rules.iter().copied().zip(private.omissions.iter().map(|(name, _)| name.clone())).collect()
    }

    #[test]
    fn an_input_without_a_path_is_said_to_have_none() {
        let why = read(&[spec()], "source", "", &Redactor::new::<&str>([])).unwrap_err().to_string();
        assert_eq!(why, "input `source`: no path is given: write it as `--input source=PATH`");
    }

    #[test]
    fn what_is_left_out_has_a_name_and_a_rule() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("src/main.py", b"x = 1");
        write(".gitignore", b"target\n*.log");
        write("target/a/b.py", b"y = 1");
        write("src/run.log", b"ran");
        write(".env", b"KEY=1");
        write("server.pem", b"key");
        write("image.png", &[0xff, 0xfe]);
        write("big.txt", &vec![b'a'; FILE_BYTES_MAX as usize + 1]);
        std::fs::File::create(folder.path().join("huge.bin")).expect("made").set_len(10 << 30).expect("sparse");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).expect("linked");
        let input = read_dir(folder.path()).expect("read");
        let expected = [
            (OmissionRule::TooLarge, "big.txt"),
            (OmissionRule::TooLarge, "huge.bin"),
            (OmissionRule::NotText, "image.png"),
            (OmissionRule::Link, "link"),
            (OmissionRule::Secret, "server.pem"),
            (OmissionRule::Secret, ".env"),
            (OmissionRule::Hidden, ".gitignore"),
            (OmissionRule::Ignored, "target/"),
            (OmissionRule::Ignored, "src/run.log"),
        ];
        assert_eq!(names(&input), expected.map(|(rule, name)| (rule, name.to_owned())));
        assert_eq!((input.files, input.left_out), (1, 9));
        let counted = [
            (OmissionRule::Ignored, 2),
            (OmissionRule::Hidden, 1),
            (OmissionRule::Secret, 2),
            (OmissionRule::TooLarge, 2),
            (OmissionRule::NotText, 1),
            (OmissionRule::Link, 1),
        ];
        assert_eq!(input.omitted, counted);
    }

    #[test]
    fn a_folder_of_very_many_files_is_taken_up_to_the_limits() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..INPUT_FILES_MAX + NAMES_MAX + 20 {
            std::fs::write(folder.path().join(format!("{number:06}.txt")), "x").expect("written");
        }
        let input = read_dir(folder.path()).expect("read");
        assert_eq!((input.files as usize, input.omitted), (INPUT_FILES_MAX, vec![(OmissionRule::Limit, NAMES_MAX as u32 + 20)]));
        assert_eq!(input.private.expect("private").omissions.len(), NAMES_MAX);
    }

    #[test]
    fn a_folder_without_a_file_to_take_says_what_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = |folder: &Path| read_dir(folder).expect_err("nothing to take").to_string();
        assert!(said(folder.path()).ends_with("holds no file that can be taken: it is empty"), "{}", said(folder.path()));
        std::fs::write(folder.path().join(".env"), "KEY=1").expect("written");
        std::fs::write(folder.path().join("a.png"), [0xff]).expect("written");
        let words = said(folder.path());
        assert!(words.ends_with("left out: 1 secret by name (.env), 1 not text (a.png)"), "{words}");
    }

    #[test]
    fn what_is_no_regular_file_is_never_read() {
        let spec: InputSpec =
            serde_json::from_value(serde_json::json!({"id": "log", "kind": "file", "description": "a log"})).expect("an input");
        let said = read(&[spec], "log", "/dev/zero", &Redactor::new::<&str>([])).expect_err("endless").to_string();
        assert!(said.ends_with("neither a regular file nor a folder"), "{said}");
    }
}
