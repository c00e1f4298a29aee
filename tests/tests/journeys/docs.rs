//! The documents say what is true.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use api::ProblemCode;
use domain::ErrorCode;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documents() -> Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for folder in ["", "docs", "docs/adr"] {
        for entry in fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    Ok(documents)
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let mut links = 0;
    for document in documents()? {
        let text = fs::read_to_string(&document)?;
        let folder = document.parent().unwrap_or(&document);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let link = link.split('#').next().unwrap_or(link);
            if !link.starts_with("http") {
                assert!(folder.join(link).exists(), "{}: {link}", document.display());
                links += 1;
            }
        }
    }
    assert!(links > 30, "only {links} links were found");
    Ok(())
}

#[test]
fn every_code_is_described() -> Result<()> {
    let problems = fs::read_to_string(root().join("docs/problems.md"))?;
    let codes = ProblemCode::ALL.iter().map(|code| code.as_str());
    for code in codes.chain(ErrorCode::ALL.iter().map(|code| code.as_str())) {
        assert!(
            problems.contains(&format!("| `{code}` |")),
            "{code} is not in docs/problems.md"
        );
    }
    Ok(())
}
