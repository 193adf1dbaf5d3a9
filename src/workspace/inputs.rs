//! Reads the material given with `--input`: files, folders and texts, without what should never leave the machine.

use std::path::{Path, PathBuf};

use crate::domain::event::{InputAttached, InputAttachedPrivate, InputKind};
use crate::domain::redact::Redactor;
use crate::domain::template::{InputKindSpec, InputSpec};
use crate::domain::text::Text;

/// Files above this size are left out.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;
/// All files of one input together.
pub const INPUT_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Files of one input.
pub const INPUT_FILES_MAX: usize = 2000;

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
    #[error("input `{id}`: {} holds no file that can be taken ({left_out} left out)", path.display())]
    Empty {
        /// The input.
        id: String,
        /// The folder.
        path: PathBuf,
        /// Files left out.
        left_out: usize,
    },
}

fn known_words(known: &[String]) -> String {
    match known {
        [] => ", which has none".to_owned(),
        known => format!(": {}", known.join(", ")),
    }
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
    let path = PathBuf::from(value);
    let input = Reader { id, redactor, texts: Vec::new(), omissions: Vec::new(), bytes: 0 };
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
    omissions: Vec<(String, String)>,
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
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        let unsuited = |why: String| InputError::Unsuited { id: id.clone(), path: path.to_owned(), why };
        if bytes > INPUT_BYTES_MAX {
            return Err(unsuited(format!("{bytes} bytes are more than the {INPUT_BYTES_MAX} that an input may have")));
        }
        let content = std::fs::read(path).map_err(unreadable)?;
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
        // Hidden files stay out, .gitignore counts even outside a git checkout, links are not followed out of the folder.
        let walk = ignore::WalkBuilder::new(root).require_git(false).sort_by_file_path(Path::cmp).build();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.omissions.push(("?".to_owned(), error.to_string()));
                    continue;
                }
            };
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                let name = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_string_lossy().into_owned();
                match self.omission(entry.path(), &name) {
                    Ok(text) => self.take(name, &text),
                    Err(why) => self.omissions.push((name, why)),
                }
            }
        }
        if self.texts.is_empty() {
            return Err(InputError::Empty { id, path: root.to_owned(), left_out: self.omissions.len() });
        }
        Ok(self.done(root.display().to_string(), InputKind::Dir))
    }

    /// Returns the file's text, or why it is left out.
    fn omission(&self, path: &Path, name: &str) -> Result<String, String> {
        if may_hold_secrets(name) {
            return Err("files of this name usually hold secrets".to_owned());
        }
        if self.texts.len() >= INPUT_FILES_MAX {
            return Err(format!("more than {INPUT_FILES_MAX} files"));
        }
        let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(format!("{bytes} bytes are more than {FILE_BYTES_MAX}"));
        }
        if self.bytes + bytes > INPUT_BYTES_MAX {
            return Err(format!("the input would pass {INPUT_BYTES_MAX} bytes"));
        }
        String::from_utf8(std::fs::read(path).map_err(|error| error.to_string())?).map_err(|_| "not a text in UTF-8".to_owned())
    }

    fn take(&mut self, name: String, text: &str) {
        let text = self.redactor.redact_answer(text).into_owned();
        self.bytes += text.len() as u64;
        self.texts.push((name, Text::Inline(text)));
    }

    fn done(self, path: String, kind: InputKind) -> InputAttached {
        InputAttached {
            input: self.id.to_owned(),
            kind,
            files: self.texts.len() as u32,
            bytes: self.bytes,
            left_out: self.omissions.len() as u32,
            private: Some(InputAttachedPrivate { path, texts: self.texts, omissions: self.omissions }),
        }
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
