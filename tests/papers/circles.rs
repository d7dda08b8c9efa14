//! Tests of the structure of the code: no circles (import cycles) between the files of a crate, no
//! glob imports, no imports against the order of the crates, and no long functions.
//!
//! A `use` declaration or a path is an import: an arrow from its file to the file that defines the
//! name. Re-exports are followed. An import from a parent module is an import like any other, but
//! `mod x;` alone is not an import. `#[cfg(test)]` items are skipped. If the `#[path]` of a module
//! leads out of the crate's source directory, the imports in that module are ignored.
//!
//! `IMPORTS_DOT=1 cargo test --test papers no_circle -- --nocapture` prints the arrows as a graph
//! for Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates: the name, the folder, and the other crates of the workspace that may be imported.
const CRATES: [(&str, &str, &[&str]); 7] = [
    ("gateway_cel", "crates/cel", &["gateway_diagnostic"]),
    ("gateway_diagnostic", "crates/diagnostic", &[]),
    ("gateway_proto", "crates/proto", &["gateway_diagnostic"]),
    (
        "gateway_schema",
        "crates/schema",
        &["gateway_cel", "gateway_diagnostic", "gateway_proto"],
    ),
    ("gateway_zmtp", "crates/zmtp", &[]),
    (
        "gateway",
        "",
        &[
            "gateway_diagnostic",
            "gateway_proto",
            "gateway_schema",
            "gateway_zmtp",
        ],
    ),
    ("gateway_demo", "demo", &["gateway"]),
];

/// The maximum number of lines of a function. A function with so many lines fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// The maximum length of a chain of re-exports. A longer chain is treated as a loop.
const ALIASES_MAX: usize = 16;

#[test]
fn no_circle_of_imports_exists() {
    let mut circles = String::new();
    for (name, folder, _) in CRATES {
        let graph = Graph::new(&Crate::read(name, &texts_below(&root(folder).join("src"))));
        if std::env::var_os("IMPORTS_DOT").is_some() {
            println!("{}", graph.dot(name));
        }
        for circle in graph.circles() {
            let _ = write!(circles, "\nin {name}:\n{}", graph.describe(&circle));
        }
    }
    assert!(circles.is_empty(), "files that import each other:{circles}");
}

#[test]
fn crates_import_only_allowed_crates() {
    let mut wrong = Vec::new();
    for (name, folder, allowed) in CRATES {
        let krate = Crate::read(name, &texts_below(&root(folder).join("src")));
        for module in &krate.modules {
            let imported = krate.externals(module);
            let crates = CRATES.iter().map(|(other, ..)| *other);
            for other in crates.filter(|other| imported.contains(*other)) {
                if other != name && !allowed.contains(&other) {
                    wrong.push(format!("{name}: {} imports {other}", module.file));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_crate_is_checked() {
    let folders = fs::read_dir(root("crates")).unwrap();
    let mut found: Vec<String> = folders
        .map(|folder| format!("crates/{}", folder.unwrap().file_name().display()))
        .chain(["demo".to_owned()])
        .collect();
    found.sort();
    let listed: Vec<&str> = CRATES.iter().map(|(_, folder, _)| *folder).collect();
    let mut listed: Vec<&str> = listed
        .into_iter()
        .filter(|folder| !folder.is_empty())
        .collect();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn only_tests_import_by_globs() {
    let mut globs = Vec::new();
    for (name, folder, _) in CRATES {
        let krate = Crate::read(name, &texts_below(&root(folder).join("src")));
        for module in &krate.modules {
            let describe =
                |path: &Vec<String>| format!("{name}: {}: {}::*", module.file, path.join("::"));
            globs.extend(module.globs.iter().map(describe));
        }
    }
    assert_eq!(globs, [""; 0]);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for folder in [
        "src", "crates", "demo", "tests", "benches", "examples", "fuzz",
    ] {
        for (file, text) in texts_below(&root(folder)) {
            for (name, lines) in functions(&tokens(&text)) {
                if lines > FUNCTION_LINES_MAX {
                    long.push(format!("{folder}/{file}: {name} has {lines} lines"));
                }
            }
        }
    }
    assert_eq!(long, [""; 0]);
}

fn root(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// Returns the text of every Rust file below `folder`, except below `target`. The keys are the
/// paths relative to `folder`.
fn texts_below(folder: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Build output is not part of the source code.
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                texts.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    texts
}

/// The imports between the files of a crate.
#[derive(Debug, Default)]
struct Graph {
    /// The imported names. A key is the importing file and the file that defines the names.
    arrows: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Graph {
    fn new(krate: &Crate) -> Self {
        let mut graph = Self::default();
        for (id, module) in krate.modules.iter().enumerate() {
            let imports = module.imports.values().chain(&module.globs);
            for path in imports.chain(&module.paths) {
                let Some(file) = krate.file_of(id, path) else {
                    continue;
                };
                if file != module.file {
                    let arrow = (module.file.clone(), file.to_owned());
                    let names = graph.arrows.entry(arrow).or_default();
                    names.insert(name_of(path).to_owned());
                }
            }
        }
        graph
    }

    /// Returns every file that `file` imports, directly or indirectly.
    fn reachable(&self, file: &str) -> BTreeSet<&str> {
        let mut reachable = BTreeSet::new();
        let mut pending = vec![file];
        while let Some(current) = pending.pop() {
            for (from, to) in self.arrows.keys() {
                if from == current && reachable.insert(to.as_str()) {
                    pending.push(to);
                }
            }
        }
        reachable
    }

    /// Returns the strongly connected components of more than one file.
    fn circles(&self) -> BTreeSet<BTreeSet<&str>> {
        let files: BTreeSet<&str> = self.arrows.keys().map(|(from, _)| from.as_str()).collect();
        let reachable: BTreeMap<&str, BTreeSet<&str>> = files
            .iter()
            .map(|file| (*file, self.reachable(file)))
            .collect();
        let circle = |file: &str| -> BTreeSet<&str> {
            let others = reachable[file].iter().copied();
            others
                .filter(|other| reachable.get(other).is_some_and(|back| back.contains(file)))
                .collect()
        };
        let circles = files.iter().map(|file| circle(file));
        circles.filter(|circle| !circle.is_empty()).collect()
    }

    /// Describes the arrows between the files of a circle.
    fn describe(&self, circle: &BTreeSet<&str>) -> String {
        let mut text = String::new();
        for ((from, to), names) in &self.arrows {
            if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let _ = writeln!(text, "  {from} -> {to}: {}", names.join(", "));
            }
        }
        text
    }

    fn dot(&self, name: &str) -> String {
        let mut text = format!("digraph {name} {{\n");
        for (from, to) in self.arrows.keys() {
            let _ = writeln!(text, "  \"{from}\" -> \"{to}\";");
        }
        text + "}"
    }
}

/// Returns the name that a path imports. This is the first type in the path or, in a path without
/// types, the last name. For `crate::core::Core::new`, it is `Core`.
fn name_of(path: &[String]) -> &str {
    let is_type = |name: &&String| name.starts_with(char::is_uppercase);
    let name = path.iter().find(is_type).or(path.last());
    name.map_or("", String::as_str)
}

/// The modules of a crate, without its tests.
#[derive(Debug, Default)]
struct Crate {
    /// The first module is the root of the crate.
    modules: Vec<Module>,
}

#[derive(Debug, Default)]
struct Module {
    /// The path of the file that contains the module, relative to the crate's `src`.
    file: String,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// The names of the items that the module defines.
    defines: BTreeSet<String>,
    /// The paths that the module imports. The keys are their names in the module.
    imports: BTreeMap<String, Vec<String>>,
    /// The paths that the module imports by a glob, without the `*`.
    globs: Vec<Vec<String>>,
    /// The other paths in the module.
    paths: Vec<Vec<String>>,
}

/// The target of a path.
#[derive(Clone, Copy, Debug)]
enum Target {
    Module(usize),
    /// An item in the module with this index.
    ItemOf(usize),
}

impl Crate {
    /// Reads a crate from the texts of its files. The root is `lib.rs` or, in a crate without a
    /// library, `main.rs`.
    fn read(name: &str, texts: &BTreeMap<String, String>) -> Self {
        let mut krate = Self::default();
        let roots = ["lib.rs", "main.rs"];
        let root = roots.into_iter().find(|file| texts.contains_key(*file));
        krate.read_file(root.expect("a root of the crate"), 0, texts);
        assert!(krate.modules[0].parent == 0, "{name}");
        krate
    }

    /// Reads the module in a file and the child modules of this module. Returns the module's index.
    fn read_file(&mut self, file: &str, parent: usize, texts: &BTreeMap<String, String>) -> usize {
        let text = texts.get(file).unwrap_or_else(|| panic!("no file {file}"));
        let module = self.add(file, parent);
        let mut reader = Reader {
            tokens: &tokens(text),
            at: 0,
            krate: self,
            texts,
        };
        reader.read(module);
        module
    }

    fn add(&mut self, file: &str, parent: usize) -> usize {
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        self.modules.len() - 1
    }

    /// Returns the file that defines the target of a path in a module, or `None` if the target is
    /// in another crate.
    fn file_of(&self, module: usize, path: &[String]) -> Option<&str> {
        let (Target::Module(id) | Target::ItemOf(id)) = self.resolve(module, path, ALIASES_MAX)?;
        Some(&self.modules[id].file)
    }

    /// Returns the target of a path in a module. Returns `None` if the target is in another crate,
    /// or if it takes `aliases_max` or more re-exports to find the target.
    fn resolve(&self, module: usize, path: &[String], aliases_max: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => Target::Module(self.modules[module].parent),
            name => self.find(module, name, aliases_max)?,
        };
        for name in rest {
            let Target::Module(id) = target else {
                break;
            };
            target = match name.as_str() {
                "super" => Target::Module(self.modules[id].parent),
                // A macro generates each name that is not in the source code.
                name => self
                    .find(id, name, aliases_max)
                    .unwrap_or(Target::ItemOf(id)),
            };
        }
        Some(target)
    }

    /// Returns the target of a name in a module. Returns `None` if the module does not have the
    /// name, or if it takes `aliases_max` or more re-exports to find the target.
    fn find(&self, module: usize, name: &str, aliases_max: usize) -> Option<Target> {
        let aliases_max = aliases_max.checked_sub(1)?;
        let Module {
            children,
            defines,
            imports,
            globs,
            ..
        } = &self.modules[module];
        if let Some(child) = children.get(name) {
            return Some(Target::Module(*child));
        }
        if defines.contains(name) {
            return Some(Target::ItemOf(module));
        }
        if let Some(path) = imports.get(name) {
            return self.resolve(module, path, aliases_max);
        }
        let mut targets = globs
            .iter()
            .filter_map(|path| self.resolve(module, path, aliases_max));
        targets.find_map(|target| match target {
            Target::Module(id) if id != module => self.find(id, name, aliases_max),
            _ => None,
        })
    }

    /// Returns the first names of all paths in a module, except the names of child modules. This
    /// includes the names of the external crates that the module uses.
    fn externals(&self, module: &Module) -> BTreeSet<String> {
        let imports = module.imports.values().chain(&module.globs);
        let firsts = imports.chain(&module.paths).filter_map(|path| path.first());
        firsts
            .filter(|name| !module.children.contains_key(*name))
            .cloned()
            .collect()
    }
}

/// Reads the items of one file.
struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    krate: &'a mut Crate,
    texts: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    /// Reads a module up to its closing brace or to the end of the file.
    fn read(&mut self, module: usize) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.token(0) {
                Token::Sign('#') => self.skip_attribute(),
                Token::Sign('{') => {
                    depth += 1;
                    self.at += 1;
                }
                Token::Sign('}') if depth == 0 => return,
                Token::Sign('}') => {
                    depth -= 1;
                    self.at += 1;
                }
                Token::Word(word) => self.read_word(module, depth, &word),
                _ => self.at += 1,
            }
        }
    }

    fn token(&self, ahead: usize) -> Token {
        let token = self.tokens.get(self.at + ahead);
        token.map_or(Token::Sign('\0'), |(token, _)| token.clone())
    }

    fn read_word(&mut self, module: usize, depth: usize, word: &str) {
        let next = match self.token(1) {
            Token::Word(next) => Some(next),
            _ => None,
        };
        match (word, next) {
            // `use<'a>` in a return type is not an import.
            ("use", _) if self.token(1) != Token::Sign('<') => {
                self.at += 1;
                self.read_use(module, &[]);
            }
            ("mod", Some(name)) => self.read_module(module, name),
            ("pub", None) => self.skip_visibility(),
            (
                "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static",
                Some(name),
            ) if depth == 0 => {
                self.krate.modules[module].defines.insert(name);
                self.at += 2;
            }
            _ => self.read_path(module, word),
        }
    }

    /// Reads the module after the word `mod`. The module is in braces or in its own file.
    fn read_module(&mut self, parent: usize, name: String) {
        self.at += 2;
        let file = self.krate.modules[parent].file.clone();
        let child = if self.token(0) == Token::Sign('{') {
            self.at += 1;
            let child = self.krate.add(&file, parent);
            self.read(child);
            child
        } else {
            let roots = ["mod.rs", "lib.rs", "main.rs"];
            let folder = match roots.iter().find_map(|root| file.strip_suffix(root)) {
                Some(folder) => folder.to_owned(),
                None => format!("{}/", file.trim_end_matches(".rs")),
            };
            let flat = format!("{folder}{name}.rs");
            let nested = format!("{folder}{name}/mod.rs");
            let files = [&flat, &nested];
            match files.iter().find(|file| self.texts.contains_key(**file)) {
                Some(file) => self.krate.read_file(file, parent, self.texts),
                None => self.krate.add(&flat, parent),
            }
        };
        self.at += 1;
        self.krate.modules[parent].children.insert(name, child);
    }

    /// Reads a path outside a `use` declaration. Ignores a single name, because it is imported by a
    /// `use` declaration or defined in the module.
    fn read_path(&mut self, module: usize, first: &str) {
        let mut path = vec![first.to_owned()];
        self.at += 1;
        while let (Token::Path, Token::Word(name)) = (self.token(0), self.token(1)) {
            path.push(name);
            self.at += 2;
        }
        if path.len() > 1 {
            self.krate.modules[module].paths.push(path);
        }
    }

    /// Reads one branch of a `use` tree, up to but not including the token after the branch.
    fn read_use(&mut self, module: usize, prefix: &[String]) {
        let mut path = prefix.to_vec();
        loop {
            match self.token(0) {
                Token::Word(name) if name == "as" => {
                    let Token::Word(alias) = self.token(1) else {
                        panic!("no name after `as`");
                    };
                    self.at += 2;
                    return self.import(module, alias, path);
                }
                Token::Word(name) if name == "self" && !prefix.is_empty() => {}
                Token::Word(name) => path.push(name),
                Token::Path => {}
                Token::Sign('*') => {
                    self.at += 1;
                    return self.krate.modules[module].globs.push(path);
                }
                Token::Sign('{') => return self.read_branches(module, &path),
                _ => {
                    let name = path.last().cloned().unwrap_or_default();
                    return self.import(module, name, path);
                }
            }
            self.at += 1;
        }
    }

    fn read_branches(&mut self, module: usize, prefix: &[String]) {
        loop {
            self.at += 1;
            if self.token(0) != Token::Sign('}') {
                self.read_use(module, prefix);
            }
            if self.token(0) == Token::Sign('}') {
                self.at += 1;
                return;
            }
        }
    }

    fn import(&mut self, module: usize, name: String, path: Vec<String>) {
        let module = &mut self.krate.modules[module];
        // Two functions of a file may import different items under the same name.
        match module.imports.contains_key(&name) || name == "_" {
            true => module.paths.push(path),
            false => drop(module.imports.insert(name, path)),
        }
    }

    /// Skips the word `pub` and a restriction after it, such as `(crate)`.
    fn skip_visibility(&mut self) {
        self.at += 1;
        let restricted = ["in", "crate", "self", "super"].map(Token::word);
        if self.token(0) == Token::Sign('(') && restricted.contains(&self.token(1)) {
            self.skip_brackets();
        }
    }

    /// Skips an attribute and, if it contains `cfg(test`, the item after it.
    fn skip_attribute(&mut self) {
        let start = self.at;
        while self.token(0) != Token::Sign('[') {
            self.at += 1;
        }
        self.skip_brackets();
        let tokens = self.tokens[start..self.at].iter();
        let words: Vec<&Token> = tokens.map(|(token, _)| token).collect();
        let is_test = [&Token::word("cfg"), &Token::Sign('('), &Token::word("test")];
        if words.windows(3).any(|window| window == is_test) {
            self.skip_item();
        }
    }

    /// Skips an opening bracket and all tokens through the matching closing bracket.
    fn skip_brackets(&mut self) {
        let mut depth = 0;
        loop {
            match self.token(0) {
                Token::Sign('(' | '[' | '{') => depth += 1,
                Token::Sign(')' | ']' | '}' | '\0') => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth <= 0 {
                return;
            }
        }
    }

    /// Skips an item through its semicolon or closing brace, or up to the bracket that closes the
    /// enclosing block or list.
    fn skip_item(&mut self) {
        loop {
            match self.token(0) {
                Token::Sign(';') => {
                    self.at += 1;
                    return;
                }
                Token::Sign('{') => return self.skip_brackets(),
                Token::Sign('(' | '[') => self.skip_brackets(),
                Token::Sign(')' | ']' | '}' | '\0') => return,
                _ => self.at += 1,
            }
        }
    }
}

/// Returns the name of each function with a body, and the number of lines from `fn` through the
/// closing brace.
fn functions(tokens: &[(Token, usize)]) -> Vec<(String, usize)> {
    let mut functions = Vec::new();
    for (at, window) in tokens.windows(2).enumerate() {
        let [(word, start), (Token::Word(name), _)] = window else {
            continue;
        };
        if *word != Token::word("fn") {
            continue;
        }
        let mut depth = 0;
        for (token, line) in &tokens[at..] {
            match token {
                Token::Sign(';') if depth == 0 => break,
                Token::Sign('(' | '[' | '{') => depth += 1,
                Token::Sign(')' | ']') => depth -= 1,
                Token::Sign('}') => {
                    depth -= 1;
                    if depth == 0 {
                        functions.push((name.clone(), line - start + 1));
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    functions
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// The sign `::`.
    Path,
    Sign(char),
    /// A string, a character or a number.
    Literal,
}

impl Token {
    fn word(text: &str) -> Self {
        Self::Word(text.to_owned())
    }
}

/// Returns the tokens of a Rust source text, each with its line number, except comments and
/// lifetimes.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, token) = if let Some(length) = blank(rest) {
            (length, None)
        } else if let Some(length) = literal(rest) {
            (length, Some(Token::Literal))
        } else if rest.starts_with("::") {
            (2, Some(Token::Path))
        } else {
            let raw = if rest.starts_with("r#") { 2 } else { 0 };
            match raw + word(&rest[raw..]) {
                0 => (first.len_utf8(), Some(Token::Sign(first))),
                length => (length, Some(Token::word(&rest[raw..length]))),
            }
        };
        tokens.extend(token.map(|token| (token, line)));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// Returns the length of the word at the start of a text, which is zero if there is no word.
fn word(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    end.unwrap_or(text.len())
}

/// Returns the length of the white space, the comment or the lifetime at the start of a text, or
/// `None` if the text starts with something else.
fn blank(text: &str) -> Option<usize> {
    let space = text.len() - text.trim_start().len();
    if space > 0 {
        return Some(space);
    }
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with('\'') && literal(text).is_none() {
        return Some(1 + word(&text[1..]));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// Returns the length of the string, the character or the number at the start of a text, or `None`
/// if the text starts with something else.
fn literal(text: &str) -> Option<usize> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(word(text));
    }
    let prefix = text.find(|c: char| !matches!(c, 'b' | 'c' | 'r'))?;
    let body = &text[prefix..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if text[..prefix].ends_with('r') && body[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &body[hashes + 1..];
        return Some(prefix + hashes + 1 + inside.find(&end)? + end.len());
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix + at + 1),
            // The quote begins a lifetime, not a character.
            _ if quote == '\'' && !body[1..].starts_with('\\') && at > 1 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the descriptions of all circles between these files.
    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files
            .iter()
            .map(|(file, text)| (file.to_string(), text.to_string()));
        let graph = Graph::new(&Crate::read("example", &texts.collect()));
        let circles = graph.circles();
        circles
            .iter()
            .map(|circle| graph.describe(circle))
            .collect()
    }

    #[test]
    fn a_circle_is_found_and_described() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::{Of, self}; pub struct Other;"),
            (
                "b.rs",
                "pub struct Of; fn f() -> super::c::Third { super::c::third() }",
            ),
            (
                "c.rs",
                "use super::a as alias; fn third() -> alias::Other {}",
            ),
        ];
        let arrows =
            "  a.rs -> b.rs: Of, b\n  b.rs -> c.rs: Third, third\n  c.rs -> a.rs: Other, a\n";
        assert_eq!(circles(&files), [arrows]);
    }

    #[test]
    fn a_child_may_import_its_parent_if_the_parent_only_declares_it() {
        let child = (
            "a/b.rs",
            "use super::Parent; impl Parent { pub fn new() {} }",
        );
        let declares = ("a.rs", "mod b; pub struct Parent; fn f() { Parent::new() }");
        let lib = ("lib.rs", "mod a;");
        assert_eq!(circles(&[lib, declares, child]), [""; 0]);
        let imports = ("a.rs", "mod b; pub use b::Child; pub struct Parent;");
        assert_eq!(circles(&[lib, imports, child]).len(), 1);
    }

    #[test]
    fn re_exports_are_followed_to_the_file_that_defines_the_name() {
        let lib = (
            "lib.rs",
            "mod a; mod b; pub use b::inner::{Deep as Renamed}; pub use b::*;",
        );
        let b = ("b/mod.rs", "pub mod inner; pub struct Shallow;");
        let inner = ("b/inner.rs", "use crate::a::A; pub struct Deep;");
        let renamed = ("a.rs", "pub struct A(crate::Renamed);");
        let arrows = "  a.rs -> b/inner.rs: Renamed\n  b/inner.rs -> a.rs: A\n";
        assert_eq!(circles(&[lib, b, inner, renamed]), [arrows]);
        let shallow = ("a.rs", "pub struct A(crate::Shallow);");
        assert_eq!(circles(&[lib, b, inner, shallow]), [""; 0]);
    }

    #[test]
    fn imports_in_tests_comments_and_strings_are_ignored() {
        let a = "/* /* */ use crate::b::B; */ pub struct A<'b>(&'b str); // crate::b::B
            const TEXTS: [&str; 2] = [\"crate::b::B \\\" \", r#\"crate::b::B \"#]; const C: char = '\"';
            #[cfg(test)] mod tests { use crate::b::B; }
            #[cfg(test)] mod more;
            pub(in crate::b) fn f() {}
            #[cfg(test)] use crate::b::B;";
        let b = "use crate::a::A; pub struct B;";
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", b)];
        assert_eq!(circles(&files), [""; 0]);
        let imports = a.replace("#[cfg(test)] use", "#[cfg(unix)] use");
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", &imports), ("b.rs", b)];
        assert_eq!(circles(&files).len(), 1);
    }

    #[test]
    fn the_lines_of_a_function_end_with_its_closing_brace() {
        let text = "trait T { fn none(&self); }\nfn one() { '{'; }\nfn three(a: [u8; 2])\n{\n}";
        let lines = functions(&tokens(text));
        assert_eq!(lines, [("one".to_owned(), 1), ("three".to_owned(), 3)]);
    }

    #[test]
    fn imports_of_other_crates_and_globs_are_found() {
        let text = "mod gateway_a { } use gateway_b::{c, d::*}; fn f() { gateway_e::f() }";
        let texts = BTreeMap::from([("lib.rs".to_owned(), text.to_owned())]);
        let krate = Crate::read("example", &texts);
        let external = krate.externals(&krate.modules[0]);
        assert_eq!(
            external,
            ["gateway_b", "gateway_e"].map(str::to_owned).into()
        );
        assert_eq!(krate.modules[0].globs, [["gateway_b", "d"]]);
    }
}
