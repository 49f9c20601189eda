//! The module stays arithmetic: no database, network, files, async or system time.
use std::fs;
use std::path::{Path, PathBuf};

const ALLOWED_CRATES: &[&str] = &["chrono", "chrono_tz", "serde", "thiserror"];
const ALLOWED_STD: &[&str] = &["collections", "sync::OnceLock", "cmp", "fmt", "ops"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "tests" {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The paths after `name::`, wherever it stands as a word of its own.
fn uses<'a>(code: &'a str, name: &str) -> Vec<&'a str> {
    let wanted = format!("{name}::");
    code.match_indices(&wanted)
        .filter(|(position, _)| {
            !code[..*position]
                .ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
        })
        .map(|(position, _)| &code[position + wanted.len()..])
        .collect()
}

#[test]
fn sources_import_nothing_impure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src/sla"), &mut files);
    assert!(files.len() >= 7, "{files:?}");
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let crates: Vec<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .flat_map(|section| manifest[*section].as_table().unwrap().keys())
        .map(|name| name.replace('-', "_"))
        .collect();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        let at = file.display();
        for name in &crates {
            let used = !uses(&code, name).is_empty() || code.contains(&format!("use {name};"));
            assert!(
                !used || ALLOWED_CRATES.contains(&name.as_str()),
                "{at} uses {name}"
            );
        }
        for path in uses(&code, "std") {
            assert!(
                ALLOWED_STD.iter().any(|allowed| path.starts_with(allowed)),
                "{at} uses std::{:.30}",
                path
            );
        }
        for path in uses(&code, "crate") {
            assert!(path.starts_with("sla"), "{at} uses crate::{:.30}", path);
        }
        for word in [
            "Utc::now",
            "Local::now",
            "async ",
            ".await",
            "SystemTime",
            "unsafe ",
            "include_str!",
            "env!",
        ] {
            assert!(!code.contains(word), "{at} contains {word}");
        }
    }
}
