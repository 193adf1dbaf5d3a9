//! Names behind which keys and passwords lie: what tools do not read, wherever it is.

/// Folders whose inside is not read.
const FOLDERS: [(&str, &str); 9] = [
    (".git", "the inside of a repository"),
    (".meno", "a store of meno"),
    (".ssh", "keys"),
    (".gnupg", "keys"),
    (".aws", "credentials"),
    (".azure", "credentials"),
    (".kube", "credentials"),
    (".docker", "credentials"),
    (".password-store", "passwords"),
];

/// Files that are not read.
const FILES: [&str; 12] = [
    ".envrc",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".pypirc",
    ".npmrc",
    ".yarnrc.yml",
    ".git-credentials",
    ".htpasswd",
    ".dockercfg",
    ".vault-token",
    "credentials.toml",
];

/// Ends of the names of files that hold keys.
const ENDS: [&str; 9] = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".asc"];

/// Beginnings of the names of files that hold keys, as `ssh-keygen` names them. Those that end in `.pub` are for everybody.
const KEYS: [&str; 4] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];

/// Examples of `.env`, which hold no values.
const EXAMPLES: [&str; 4] = [".env.example", ".env.sample", ".env.template", ".env.dist"];

/// Returns why a file or folder of this name is not read; `None` when it is. Upper and lower case are the same, as on some disks.
pub fn reason(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    if let Some((_, what)) = FOLDERS.iter().find(|(folder, _)| *folder == name) {
        return Some(what);
    }
    let is_env = name == ".env" || (name.starts_with(".env.") && !EXAMPLES.contains(&name.as_str()));
    let is_key = KEYS.iter().any(|key| name.starts_with(key)) && !name.ends_with(".pub");
    let is_file = is_env || is_key || FILES.contains(&name.as_str()) || ENDS.iter().any(|end| name.ends_with(end));
    is_file.then_some("files of this name hold keys or passwords")
}

/// Returns the same as patterns of whole paths, a little wider: for programs that are told what to leave out.
pub fn patterns() -> impl Iterator<Item = String> {
    let folders = FOLDERS.iter().map(|(folder, _)| format!("**/{folder}/**"));
    let files = FILES.iter().chain([&".env", &".env.*"]).map(|file| format!("**/{file}"));
    let ends = ENDS.iter().map(|end| format!("**/*{end}"));
    let keys = KEYS.iter().map(|key| format!("**/{key}*"));
    folders.chain(files).chain(ends).chain(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hold_secrets_are_known_in_any_case() {
        for name in [".env", ".ENV", ".env.local", "server.pem", "id_ed25519", "id_rsa.bak", ".Git", ".meno", ".netrc", "a.P12"] {
            assert!(reason(name).is_some(), "{name}");
        }
        for name in [".env.example", "environment.py", "id_ed25519.pub", "key.rs", ".gitignore", ".github", "monkey", "pem"] {
            assert_eq!(reason(name), None, "{name}");
        }
    }
}
