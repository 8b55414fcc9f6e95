//! The shape of `src`: imports go one way, functions and files stay short. Read from the text, which `cargo fmt` keeps
//! in one form.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a function, from its name to its closing brace.
const FUNCTION_LINES: usize = 80;
/// Lines of a file, its tests among them: about 500.
const FILE_LINES: usize = 525;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Rust files under a folder, relative to `src`, with their text. Crates of their own (with a manifest) are left out.
fn sources(folder: &Path, out: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            out.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// A file's code: comments, strings and items of tests are blank; lines stay where they are.
fn code(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    // The indentation of the item of a test that is being left out.
    let mut test: Option<usize> = None;
    let mut armed = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim_start();
        let mut kept = String::new();
        if let Some(of) = test {
            if indent == of && trimmed.starts_with('}') {
                test = None;
            }
        } else if trimmed.starts_with("#[cfg(test)]") || trimmed.starts_with("#[cfg(all(test") {
            armed = true;
        } else if armed && trimmed.starts_with("#[") {
        } else if armed {
            armed = false;
            // A whole item, or a declaration of a line.
            if !trimmed.ends_with(';') && !trimmed.ends_with('}') && !trimmed.ends_with(',') {
                test = Some(indent);
            }
        } else {
            kept = without_strings_and_comments(line);
        }
        out.push(kept);
    }
    out
}

fn without_strings_and_comments(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut inside = false;
    while let Some(c) = chars.next() {
        match (inside, c) {
            (true, '\\') => drop(chars.next()),
            (_, '"') => inside = !inside,
            (true, _) => {}
            (false, '/') if chars.peek() == Some(&'/') => break,
            (false, '\'') if chars.peek() == Some(&'"') => drop((chars.next(), chars.next())),
            (false, _) => out.push(c),
        }
    }
    out
}

/// Names of modules from the crate on: `codec/rate/mod.rs` and `codec/rate.rs` are both `codec::rate`.
fn module(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str, prefix: &[String], out: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if tree.is_empty() {
        return;
    }
    let (path, group) = match tree.find('{') {
        Some(at) => (&tree[..at], Some(&tree[at + 1..tree.rfind('}').unwrap()])),
        None => (tree, None),
    };
    let path = path.split(" as ").next().unwrap();
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty());
    let full: Vec<String> = prefix.iter().cloned().chain(names.map(str::to_owned)).collect();
    let Some(group) = group else {
        out.push(full);
        return;
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&group[start..at], &full, out);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&group[start..], &full, out);
}

/// What a file says of others.
#[derive(Default)]
struct Says {
    /// Paths that it re-exports, and paths that it uses.
    exports: Vec<Vec<String>>,
    uses: Vec<Vec<String>>,
}

fn says(lines: &[String]) -> Says {
    let text = lines.join("\n");
    let mut out = Says::default();
    let mut rest = String::new();
    let mut statements = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let begins = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let begins = begins.trim_start_matches("pub ").starts_with("use ");
        if begins || open.is_some() {
            let statement = open.take().unwrap_or_default() + line;
            if statement.contains(';') { statements.push(statement) } else { open = Some(statement) }
        } else {
            rest += line;
            rest.push('\n');
        }
    }
    for statement in statements {
        let exported = statement.trim_start().starts_with("pub");
        let tree = statement.split_once("use ").unwrap().1.trim_end_matches(';').to_owned();
        let mut paths = Vec::new();
        expand(&tree, &[], &mut paths);
        for path in paths {
            // What is only handed on is no import of the file's own.
            let name = path.last().unwrap();
            let used = rest.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
            if exported {
                out.exports.push(path.clone());
            }
            if !exported || used {
                out.uses.push(path);
            }
        }
    }
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in rest.match_indices(start) {
            let before = rest[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let end = rest[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            let path = &rest[at..end.map_or(rest.len(), |end| at + end)];
            out.uses.push(path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect());
        }
    }
    out
}

/// The module in which a path that `from` names ends, through re-exports.
fn resolve(files: &BTreeMap<Vec<String>, Says>, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
    let mut at = from.to_vec();
    let mut names = path.iter().peekable();
    match path[0].as_str() {
        "crate" => {
            at.clear();
            names.next();
        }
        "self" => drop(names.next()),
        "super" => {
            while names.peek().is_some_and(|name| *name == "super") {
                at.pop();
                names.next();
            }
        }
        // A child, or another crate.
        first => {
            at.push(first.to_owned());
            names.next();
            if !files.contains_key(&at) {
                return None;
            }
        }
    }
    for name in names {
        let child: Vec<String> = at.iter().cloned().chain([name.clone()]).collect();
        if files.contains_key(&child) {
            at = child;
            continue;
        }
        let export = files[&at].exports.iter().find(|path| path.last() == Some(name));
        return match export {
            Some(path) if depth > 0 => resolve(files, &at, path, depth - 1).or(Some(at)),
            _ => Some(at),
        };
    }
    Some(at)
}

#[test]
fn imports_go_one_way() {
    let mut texts = BTreeMap::new();
    sources(&root(), &mut texts);
    // Modules that are for tests alone are declared so by others.
    let mut tests = BTreeSet::new();
    for (file, text) in &texts {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0].starts_with("#[cfg(test)]") || pair[0].contains("(all(test"))
        {
            if let Some(name) = pair[1].strip_suffix(';').and_then(|line| line.rsplit_once("mod ")) {
                tests.insert(module(file).into_iter().chain([name.1.to_owned()]).collect::<Vec<_>>());
            }
        }
    }
    let all = texts.iter().filter(|(file, _)| !file.starts_with("bin/"));
    let files: BTreeMap<Vec<String>, Says> = all
        .map(|(file, text)| (module(file), says(&code(text))))
        .filter(|(module, _)| !(1..=module.len()).any(|n| tests.contains(&module[..n])))
        .collect();
    let mut edges: BTreeMap<&[String], BTreeSet<Vec<String>>> = BTreeMap::new();
    for (from, said) in &files {
        for path in &said.uses {
            let Some(to) = resolve(&files, from, path, 8) else { continue };
            // A module may use those inside it, which may use it.
            if to != *from && !to.starts_with(from) {
                edges.entry(from).or_default().insert(to);
            }
        }
    }
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 300, "imports are not found any more");
    let reach: BTreeMap<&[String], BTreeSet<&[String]>> = files
        .keys()
        .map(|from| {
            let (mut seen, mut waiting) = (BTreeSet::new(), vec![from.as_slice()]);
            while let Some(at) = waiting.pop() {
                for next in edges.get(at).into_iter().flatten() {
                    if seen.insert(next.as_slice()) {
                        waiting.push(next);
                    }
                }
            }
            (from.as_slice(), seen)
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (from, seen) in &reach {
        let circle: Vec<String> =
            seen.iter().filter(|to| reach[*to].contains(from)).map(|module| module.join("::")).collect();
        if !circle.is_empty() {
            circles.insert(circle.join(" "));
        }
    }
    assert!(circles.is_empty(), "modules import each other in circles; put what they share below them:\n{circles:#?}");
}

#[test]
fn functions_and_files_are_short() {
    let mut texts = BTreeMap::new();
    sources(&root(), &mut texts);
    let (mut functions, mut files) = (Vec::new(), Vec::new());
    for (file, text) in &texts {
        if text.lines().count() > FILE_LINES {
            files.push(format!("{file}: {} lines", text.lines().count()));
        }
        let lines = code(text);
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = function(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let closing = format!("{}}}", " ".repeat(indent));
            // Of a trait's function there may be a declaration alone.
            let opens = lines[at..].iter().position(|line| line.trim_end().ends_with(['{', ';', '}']));
            let body = opens.filter(|end| lines[at + end].trim_end().ends_with('{'));
            let Some(start) = body else { continue };
            let end = lines[at + start..].iter().position(|line| line.trim_end() == closing);
            let length = start + end.unwrap_or_else(|| panic!("{file}: {name} has no end")) + 1;
            if length > FUNCTION_LINES {
                functions.push(format!("{file}: {name}: {length} lines"));
            }
        }
    }
    assert!(functions.is_empty(), "functions of more than {FUNCTION_LINES} lines:\n{}", functions.join("\n"));
    assert!(files.is_empty(), "files of more than {FILE_LINES} lines:\n{}", files.join("\n"));
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "unsafe ", "extern  "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}
