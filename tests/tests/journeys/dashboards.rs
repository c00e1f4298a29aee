//! The dashboard and the alerts ask only for what the two running binaries say.

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

use crate::metrics::Journey;

/// What Prometheus itself puts on every series.
const TARGET_LABELS: [&str; 2] = ["instance", "job"];

fn read(path: &str) -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

fn dashboard() -> Result<Value> {
    Ok(serde_json::from_str(&read("docs/grafana/dashboard.json")?)?)
}

/// Returns the rules of all groups.
fn alerts() -> Result<Vec<Value>> {
    let file: Value = serde_saphyr::from_str(&read("docs/prometheus/alerts.yml")?)?;
    let groups = file["groups"].as_array().context("groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array());
    Ok(rules.flatten().cloned().collect())
}

#[tokio::test]
async fn everything_that_they_ask_for_is_said() -> Result<()> {
    let journey = Journey::begin().await?;
    journey.work().await?;
    let scrapes = journey.scrapes().await?;

    let dashboard = dashboard()?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let alerts = alerts()?;
    let expressions: Vec<_> = targets
        .chain(&alerts)
        .map(|query| query["expr"].as_str().context("an expression"))
        .collect::<Result<_>>()?;
    assert!(expressions.len() > 40, "{}", expressions.len());

    let mut asked = BTreeSet::new();
    for expression in expressions {
        for selector in selectors(expression)? {
            let name = selector.name.as_deref().context("a name")?;
            let said = scrapes.iter().find(|scrape| scrape.names().contains(name));
            let (metric, family) = said
                .and_then(|scrape| scrape.family(name))
                .with_context(|| format!("nobody says {name}: {expression}"))?;
            for matcher in &selector.matchers.matchers {
                let label = &matcher.name;
                assert!(
                    family.labels.contains(label) || TARGET_LABELS.contains(&label.as_str()),
                    "{name} has no label {label}: {expression}"
                );
            }
            asked.insert(metric);
        }
    }
    // What nobody looks at is not worth counting.
    let families = scrapes.iter().flat_map(|scrape| scrape.families.keys());
    let unasked: BTreeSet<_> = families
        .filter(|name| name.starts_with("export_") && !asked.contains(name.as_str()))
        .collect();
    assert!(unasked.is_empty(), "{unasked:?}");
    Ok(())
}

/// Parses `PromQL`, and returns what it selects.
fn selectors(expression: &str) -> Result<Vec<VectorSelector>> {
    struct Selectors(Vec<VectorSelector>);

    impl ExprVisitor for Selectors {
        type Error = Infallible;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Infallible> {
            match expr {
                Expr::VectorSelector(selector) => self.0.push(selector.clone()),
                Expr::MatrixSelector(selector) => self.0.push(selector.vs.clone()),
                _ => {}
            }
            Ok(true)
        }
    }

    // Grafana fills it in.
    let expression = expression.replace("$__rate_interval", "5m");
    let parsed = parse(&expression).map_err(|error| anyhow!("{expression}: {error}"))?;
    let mut selectors = Selectors(Vec::new());
    let Ok(_) = walk_expr(&mut selectors, &parsed);
    Ok(selectors.0)
}

#[test]
fn every_alert_says_what_to_do() -> Result<()> {
    let guide = read("docs/operating.md")?;
    let headings = guide.lines().filter_map(|line| line.strip_prefix("### "));
    let anchors: HashSet<_> = headings
        .map(|heading| format!("docs/operating.md#{}", heading.to_lowercase()))
        .collect();
    let alerts = alerts()?;
    assert!(alerts.len() > 9, "{}", alerts.len());
    for alert in alerts {
        let annotation = |name: &str| alert["annotations"][name].as_str().unwrap_or_default();
        assert!(anchors.contains(annotation("runbook")), "{alert}");
        assert!(!annotation("summary").is_empty(), "{alert}");
        assert!(alert["for"].is_string(), "{alert}");
        let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning"].contains(&severity), "{alert}");
    }
    Ok(())
}

#[test]
fn every_panel_has_its_place() -> Result<()> {
    let dashboard = dashboard()?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let (mut ids, mut cells) = (HashSet::new(), HashSet::new());
    for panel in panels {
        ensure!(
            ids.insert(panel["id"].as_u64().context("an id")?),
            "{panel}"
        );
        ensure!(panel["title"].is_string(), "{panel}");
        let place = |side: &str| panel["gridPos"][side].as_u64().context("a place");
        let (left, top) = (place("x")?, place("y")?);
        for x in left..left + place("w")? {
            for y in top..top + place("h")? {
                ensure!(
                    x < 24 && cells.insert((x, y)),
                    "{} is covered",
                    panel["title"]
                );
            }
        }
    }
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    let rows: Vec<_> = rows.filter_map(|row| row["title"].as_str()).collect();
    assert_eq!(
        rows,
        [
            "Is it working?",
            "Throughput",
            "Queue",
            "Errors",
            "Dependencies"
        ]
    );
    Ok(())
}
