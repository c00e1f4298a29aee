//! Holds the workspace to the directions in which its crates may depend on each other.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::cargo;
use crate::terminal;

/// What both binaries are made of.
const SHARED: [&str; 8] = [
    "domain",
    "notify",
    "queue",
    "representation",
    "runtime",
    "sink",
    "source",
    "store",
];

/// Returns the crates of this workspace that a crate may depend on.
fn allowed(package: &str) -> Option<Vec<&'static str>> {
    let allowed = match package {
        "deflate" | "devstack" | "domain" | "native" => vec![],
        "encode" => vec!["deflate", "domain"],
        "notify" | "queue" | "representation" | "runtime" | "sink" | "store" => {
            vec!["domain"]
        }
        "source" => vec!["domain", "native"],
        "api" => SHARED.to_vec(),
        // It alone composes source, encode and sink.
        "worker" => [&SHARED[..], &["encode"]].concat(),
        "xtask" => vec!["devstack", "domain"],
        // The journeys may look at everything that ships.
        "e2e" => [
            &SHARED[..],
            &["api", "devstack", "encode", "native", "worker"],
        ]
        .concat(),
        _ => return None,
    };
    Some(allowed)
}

/// Checks the workspace.
pub(crate) async fn run() -> Result<()> {
    let started = Instant::now();
    let output = cargo::command()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed");
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let violations = violations(&metadata);
    if !violations.is_empty() {
        bail!(
            "the crate boundaries are crossed:\n  {}",
            violations.join("\n  ")
        );
    }
    terminal::line(
        true,
        "Crates depend on each other in the allowed directions",
        started.elapsed(),
    );
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn violations(metadata: &Metadata) -> Vec<String> {
    let members: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut violations = Vec::new();
    for package in &metadata.packages {
        let Some(allowed) = allowed(&package.name) else {
            violations.push(format!(
                "{} is new: say in crates/xtask/src/check_deps.rs what it may depend on",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let target = dependency.name.as_str();
            let is_dev = dependency.kind.as_deref() == Some("dev");
            let is_allowed = !members.contains(target)
                || allowed.contains(&target)
                || is_dev && target == "devstack";
            if !is_allowed {
                let kind = dependency.kind.as_deref().unwrap_or("normal");
                violations.push(format!(
                    "{} may not have {target} as a {kind} dependency; allowed: {}",
                    package.name,
                    if allowed.is_empty() {
                        "none".to_owned()
                    } else {
                        allowed.join(", ")
                    },
                ));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::violations;

    fn check(packages: &Value) -> Vec<String> {
        violations(&serde_json::from_value(json!({ "packages": packages })).unwrap())
    }

    fn domain() -> Value {
        json!({"name": "domain", "dependencies": [{"name": "serde", "kind": null}]})
    }

    #[test]
    fn the_middle_crates_never_see_each_other() {
        let encode = json!({"name": "encode", "dependencies": [
            {"name": "domain", "kind": null},
            {"name": "sink", "kind": null},
            {"name": "devstack", "kind": "dev"},
        ]});
        let rest = ["sink", "devstack"].map(|name| json!({"name": name, "dependencies": []}));
        assert_eq!(
            check(&json!([domain(), encode, rest[0], rest[1]])),
            ["encode may not have sink as a normal dependency; allowed: deflate, domain"]
        );
    }

    #[test]
    fn the_devstack_is_for_tests_only() {
        let store = json!({"name": "store", "dependencies": [{"name": "devstack", "kind": null}]});
        let devstack =
            json!({"name": "devstack", "dependencies": [{"name": "domain", "kind": "dev"}]});
        assert_eq!(
            check(&json!([domain(), store, devstack])),
            [
                "store may not have devstack as a normal dependency; allowed: domain",
                "devstack may not have domain as a dev dependency; allowed: none",
            ]
        );
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        let violations = check(&json!([domain(), {"name": "billing", "dependencies": []}]));
        assert_eq!(
            violations,
            ["billing is new: say in crates/xtask/src/check_deps.rs what it may depend on"]
        );
    }
}
