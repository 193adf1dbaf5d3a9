//! Reads Rust source with the compiler's own lexer: which items are shipped, which are for tests only, what they name.
//!
//! Items are followed from the root of a crate along its `mod` declarations, so a file is for tests because of how it is
//! declared, not because of its name. Types are not known: a path is what is written, spelled out by the imports of its file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What one file holds.
#[derive(Debug, Default)]
pub struct Source {
    /// Paths that shipped code names, in the order of the text.
    pub named: Vec<Named>,
    /// Modules in files of their own.
    pub modules: Vec<Module>,
    /// Test functions.
    pub tests: Vec<Test>,
}

/// A path, or one of the keywords `async` and `await`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    /// Its segments from `crate`, or from the name of a foreign crate, as far as the file tells.
    pub path: Vec<String>,
    /// It stands in a `use` or `extern crate`.
    pub is_import: bool,
}

/// `mod name;`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub name: String,
    /// The path within the crate.
    pub path: Vec<String>,
    /// `#[path = "…"]`
    pub file: Option<String>,
    /// Compiled for tests only.
    pub is_test: bool,
}

/// A function under `#[test]`, in a macro or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub name: String,
    pub is_ignored: bool,
}

/// A file of a crate; its name is its path below the folder of the crate's root file.
#[derive(Debug)]
pub struct File {
    pub text: String,
    pub source: Source,
    /// Compiled for tests only.
    pub is_test: bool,
}

impl Source {
    /// Reads a file whose module is `module`; `is_test`: all of it is for tests.
    pub fn read(text: &str, module: &[String], is_test: bool) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{module:?} cannot be read: {error}"));
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut reader = Reader { source: Self::default(), imports: BTreeMap::new() };
        let is_test = is_test || inner_attributes(&trees).iter().any(is_for_tests);
        reader.walk(&trees, module, is_test);
        reader.spell_out()
    }
}

/// Returns all files of the crate whose root is `root`, by name. A module that is declared and has no file is a panic.
pub fn files_of(root: &Path) -> BTreeMap<String, File> {
    let base = root.parent().expect("a folder");
    let mut files = BTreeMap::new();
    follow(base, root.to_owned(), &[], base.to_owned(), false, &mut files);
    files
}

/// Returns the paths of all Rust files below `dir`, relative to it.
pub fn rust_files(dir: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(name_below(dir, &path));
            }
        }
    }
    files
}

fn name_below(base: &Path, path: &Path) -> String {
    path.strip_prefix(base).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Reads a file and the files of its modules; `children` is the folder in which modules without `#[path]` are looked for.
fn follow(base: &Path, path: PathBuf, module: &[String], children: PathBuf, is_test: bool, files: &mut BTreeMap<String, File>) {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let source = Source::read(&text, module, is_test);
    let own_folder = path.parent().expect("a folder").to_owned();
    for declared in &source.modules {
        let is_test = is_test || declared.is_test;
        let inner: PathBuf = declared.path[module.len()..].iter().collect();
        let parent = inner.parent().map(Path::to_path_buf).unwrap_or_default();
        let (file, below) = match &declared.file {
            Some(file) => {
                let file = normal(&own_folder.join(file));
                let below = file.parent().expect("a folder").to_owned();
                (file, below)
            }
            None => {
                let folder = children.join(&parent).join(&declared.name);
                let flat = children.join(&parent).join(format!("{}.rs", declared.name));
                (if flat.exists() { flat } else { folder.join("mod.rs") }, folder)
            }
        };
        follow(base, file, &declared.path, below, is_test, files);
    }
    files.insert(name_below(base, &path), File { text, source, is_test });
}

/// Takes `..` out of a path, so that it can be compared.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

struct Reader {
    source: Source,
    /// Names that the file imports, and what they stand for.
    imports: BTreeMap<String, Vec<String>>,
}

impl Reader {
    fn walk(&mut self, trees: &[TokenTree], module: &[String], is_test: bool) {
        let mut at = 0;
        while at < trees.len() {
            let (attributes, item) = outer_attributes(trees, at);
            if item > at {
                let for_tests = attributes.iter().any(|attribute| is_for_tests(attribute));
                if attributes.iter().any(|attribute| is_test_attribute(attribute)) {
                    self.test(&trees[item..], &attributes);
                }
                if for_tests && !is_test {
                    // Its tests and modules are read, what it names is not.
                    let end = end_of_item(trees, item);
                    self.steps(&trees[item..end], &attributes, module, true);
                    at = end;
                    continue;
                }
                attributes.iter().for_each(|attribute| self.steps(&trees_of(attribute), &[], module, is_test));
            }
            at = self.step(trees, behind_visibility(trees, item), &attributes, module, is_test);
        }
    }

    /// Takes in what `trees` hold, without a look at what stands before them.
    fn steps(&mut self, trees: &[TokenTree], attributes: &[&Group], module: &[String], is_test: bool) {
        let mut at = self.step(trees, behind_visibility(trees, 0), attributes, module, is_test);
        while at < trees.len() {
            at = self.step(trees, at, &[], module, is_test);
        }
    }

    /// Takes in what begins at `at`; returns where the next thing begins.
    fn step(&mut self, trees: &[TokenTree], at: usize, attributes: &[&Group], module: &[String], is_test: bool) -> usize {
        match word(trees, at).as_deref() {
            Some("mod") => match (word(trees, at + 1), trees.get(at + 2)) {
                (Some(name), Some(TokenTree::Group(group))) => {
                    let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
                    self.walk(&trees_of(group), &inner, is_test);
                    at + 3
                }
                (Some(name), Some(end)) if is_punct(end, ';') => {
                    let path = module.iter().cloned().chain([name.clone()]).collect();
                    let file = attributes.iter().find_map(|attribute| path_attribute(attribute));
                    self.source.modules.push(Module { name, path, file, is_test });
                    at + 3
                }
                _ => at + 1,
            },
            Some("use") if !trees.get(at + 1).is_some_and(|next| is_punct(next, '<')) => {
                let end = (at..trees.len()).find(|at| is_punct(&trees[*at], ';')).unwrap_or(trees.len());
                if !is_test {
                    self.import(&trees[at + 1..end], &[], module);
                }
                end + 1
            }
            Some("crate") if at > 0 && word(trees, at - 1).as_deref() == Some("extern") => {
                if let (Some(name), false) = (word(trees, at + 1), is_test) {
                    self.name(trees[at].span().start().line, vec![name], module, true);
                }
                at + 2
            }
            _ => match trees.get(at) {
                Some(TokenTree::Group(group)) => {
                    self.walk(&trees_of(group), module, is_test);
                    at + 1
                }
                Some(TokenTree::Ident(_)) => {
                    let (path, end) = path_at(trees, at);
                    let line = trees[at].span().start().line;
                    let is_member = at > 0 && is_punct(&trees[at - 1], '.') && !(at > 1 && is_punct(&trees[at - 2], '.'));
                    let goes_on = at > 1 && is_punct(&trees[at - 1], ':') && is_punct(&trees[at - 2], ':');
                    let is_inner = goes_on && at > 2 && !is_beginning(&trees[at - 3]);
                    let is_keyword = path == ["async"] || path == ["await"];
                    if !is_test && (is_keyword || !(is_member || is_inner)) {
                        self.name(line, path, module, false);
                    }
                    end
                }
                _ => at + 1,
            },
        }
    }

    /// Takes in one tree of a `use`.
    fn import(&mut self, trees: &[TokenTree], before: &[String], module: &[String]) {
        for part in trees.split(|tree| is_punct(tree, ',')).filter(|part| !part.is_empty()) {
            let mut path = before.to_vec();
            let mut alias = None;
            let mut at = 0;
            while at < part.len() {
                match &part[at] {
                    TokenTree::Group(group) => self.import(&trees_of(group), &path, module),
                    TokenTree::Ident(ident) if ident == "as" => {
                        alias = word(part, at + 1);
                        at += 1;
                    }
                    TokenTree::Ident(ident) if ident == "self" && !path.is_empty() => {}
                    TokenTree::Ident(ident) => path.push(bare(&ident.to_string())),
                    _ => {}
                }
                at += 1;
            }
            if !matches!(part.last(), Some(TokenTree::Group(_))) {
                let line = part[0].span().start().line;
                let path = absolute(path, module);
                let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
                self.imports.insert(name, path.clone());
                self.source.named.push(Named { line, path, is_import: true });
            }
        }
    }

    fn name(&mut self, line: usize, path: Vec<String>, module: &[String], is_import: bool) {
        self.source.named.push(Named { line, path: absolute(path, module), is_import });
    }

    fn test(&mut self, trees: &[TokenTree], attributes: &[&Group]) {
        let place = (0..trees.len()).find(|at| word(trees, *at).as_deref() == Some("fn"));
        let Some(name) = place.and_then(|at| word(trees, at + 1)) else { return };
        let is_ignored = attributes.iter().any(|attribute| words_of(attribute).first().is_some_and(|word| word == "ignore"));
        self.source.tests.push(Test { name, is_ignored });
    }

    /// Writes out what begins with an imported name.
    fn spell_out(mut self) -> Source {
        for named in self.source.named.iter_mut().filter(|named| !named.is_import && named.path.len() > 1) {
            if let Some(full) = self.imports.get(&named.path[0]) {
                named.path.splice(..1, full.iter().cloned());
            }
        }
        self.source
    }
}

/// Writes out `self` and `super`.
fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    let mut base: Option<Vec<String>> = None;
    let mut rest = path.into_iter().peekable();
    while let Some(part) = rest.peek() {
        match part.as_str() {
            "self" if base.is_none() => base = Some(module.to_vec()),
            "super" => {
                let mut parent = base.unwrap_or_else(|| module.to_vec());
                parent.pop();
                base = Some(parent);
            }
            _ => break,
        }
        rest.next();
    }
    // A value called `self` is no path.
    match (base, rest.peek().is_some()) {
        (Some(base), true) => std::iter::once("crate".to_owned()).chain(base).chain(rest).collect(),
        (Some(_), false) => vec!["self".to_owned()],
        (None, _) => rest.collect(),
    }
}

/// Returns the path that begins at `at`, and where it ends.
fn path_at(trees: &[TokenTree], at: usize) -> (Vec<String>, usize) {
    let mut path: Vec<String> = word(trees, at).into_iter().collect();
    let mut end = at + 1;
    while let (Some(first), Some(second), Some(next)) = (trees.get(end), trees.get(end + 1), word(trees, end + 2)) {
        if !is_punct(first, ':') || !is_punct(second, ':') {
            break;
        }
        path.push(next);
        end += 3;
    }
    (path, end)
}

/// Returns whether a path may begin with `::` behind `tree`: it is neither a name nor the end of `<…>`.
fn is_beginning(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Ident(ident) => ["use", "return", "in", "as", "dyn", "impl", "mut", "crate"].iter().any(|word| ident == word),
        TokenTree::Punct(punct) => punct.as_char() != '>',
        _ => false,
    }
}

/// Returns where the item that begins at `start` ends: at `;`, at its braces, or at `,` when it is a field, a variant or an arm.
fn end_of_item(trees: &[TokenTree], start: usize) -> usize {
    const ITEMS: [&str; 11] =
        ["async", "enum", "extern", "fn", "impl", "macro_rules", "mod", "struct", "trait", "union", "unsafe"];
    const STATEMENTS: [&str; 5] = ["const", "let", "static", "type", "use"];
    let mut at = behind_visibility(trees, start);
    let first = word(trees, at).unwrap_or_default();
    let is_expression = ["if", "match", "for", "while", "loop"].contains(&&*first);
    assert!(!is_expression, "`#[cfg(test)]` before `{first}`: put it before an item, where it is seen what it covers");
    let is_function = first == "const" && word(trees, at + 1).is_some_and(|next| ["fn", "unsafe", "async"].contains(&&*next));
    let ends_with_braces = ITEMS.contains(&first.as_str()) || is_function;
    let is_statement = STATEMENTS.contains(&first.as_str()) && !is_function;
    let mut angles = 0i32;
    while let Some(tree) = trees.get(at) {
        let before = at.checked_sub(1).and_then(|before| trees.get(before));
        let is_arrow = before.is_some_and(|before| is_punct(before, '-') || is_punct(before, '='));
        match tree {
            tree if is_punct(tree, ';') => return at + 1,
            tree if is_punct(tree, ',') && !ends_with_braces && !is_statement && angles <= 0 => return at + 1,
            tree if is_punct(tree, '<') => angles += 1,
            tree if is_punct(tree, '>') && !is_arrow => angles -= 1,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_statement => {
                let follows_arrow = before.is_some_and(|before| is_punct(before, '>')) && !ends_with_braces;
                let has_comma = trees.get(at + 1).is_some_and(|next| is_punct(next, ','));
                if ends_with_braces || (follows_arrow && !has_comma) {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// Returns where what follows `pub` or `pub(…)` begins.
fn behind_visibility(trees: &[TokenTree], at: usize) -> usize {
    if word(trees, at).as_deref() != Some("pub") {
        return at;
    }
    let is_restricted = matches!(trees.get(at + 1), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
    at + 1 + usize::from(is_restricted)
}

/// Returns the attributes `#[…]` at `at`, and where what they stand before begins.
fn outer_attributes(trees: &[TokenTree], mut at: usize) -> (Vec<&Group>, usize) {
    let mut attributes = Vec::new();
    while let (Some(mark), Some(TokenTree::Group(group))) = (trees.get(at), trees.get(at + 1)) {
        if !is_punct(mark, '#') || group.delimiter() != Delimiter::Bracket {
            break;
        }
        attributes.push(group);
        at += 2;
    }
    (attributes, at)
}

/// Returns the attributes `#![…]` of a file.
fn inner_attributes(trees: &[TokenTree]) -> Vec<Group> {
    let inner = trees.windows(3).filter_map(|window| match window {
        [mark, bang, TokenTree::Group(group)] if is_punct(mark, '#') && is_punct(bang, '!') => Some(group.clone()),
        _ => None,
    });
    inner.collect()
}

/// Returns whether an attribute keeps its item out of what is shipped.
fn is_for_tests(attribute: &Group) -> bool {
    let trees = trees_of(attribute);
    let is_cfg = word(&trees, 0).as_deref() == Some("cfg");
    is_test_attribute(attribute)
        || matches!(trees.get(1), Some(TokenTree::Group(group)) if is_cfg && needs_test(&trees_of(group)))
}

/// Returns whether a condition of `cfg` holds in tests only.
fn needs_test(condition: &[TokenTree]) -> bool {
    match (word(condition, 0).as_deref(), condition.get(1)) {
        (Some("test"), None) => true,
        (Some(how @ ("all" | "any")), Some(TokenTree::Group(group))) => {
            let trees = trees_of(group);
            let parts = trees.split(|tree| is_punct(tree, ',')).filter(|part| !part.is_empty());
            let parts: Vec<bool> = parts.map(needs_test).collect();
            if how == "all" { parts.contains(&true) } else { !parts.is_empty() && !parts.contains(&false) }
        }
        _ => false,
    }
}

/// `#[test]`, `#[tokio::test]` and the like.
fn is_test_attribute(attribute: &Group) -> bool {
    let trees = trees_of(attribute);
    let (path, _) = path_at(&trees, 0);
    path.last().is_some_and(|last| last == "test")
}

/// The file that `#[path = "…"]` names.
fn path_attribute(attribute: &Group) -> Option<String> {
    let trees = trees_of(attribute);
    match (word(&trees, 0).as_deref(), trees.get(2)) {
        (Some("path"), Some(TokenTree::Literal(literal))) => Some(literal.to_string().trim_matches('"').to_owned()),
        _ => None,
    }
}

fn trees_of(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

fn words_of(group: &Group) -> Vec<String> {
    let trees = trees_of(group);
    (0..trees.len()).filter_map(|at| word(&trees, at)).collect()
}

fn word(trees: &[TokenTree], at: usize) -> Option<String> {
    match trees.get(at) {
        Some(TokenTree::Ident(ident)) => Some(bare(&ident.to_string())),
        _ => None,
    }
}

fn bare(ident: &str) -> String {
    ident.strip_prefix("r#").unwrap_or(ident).to_owned()
}

fn is_punct(tree: &TokenTree, char: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == char)
}
