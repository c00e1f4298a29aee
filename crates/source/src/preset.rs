//! Presets: what may be exported. Which of it is there, the server says.

use std::fs;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::Deserialize;

use crate::catalogue::Catalogue;
use crate::definition::{self, Definition};
use crate::resolution;
use crate::seen::Seen;

/// The preset for the tables of the OpenTelemetry Collector's ClickHouse exporter.
pub const OTEL_PRESET: &str = include_str!("../../../config/datasets/otel.toml");

/// The preset for the tables of the `TelemetryFlow` platform.
pub const TELEMETRYFLOW_PRESET: &str = include_str!("../../../config/datasets/telemetryflow.toml");

/// The `datasets` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetsConfig {
    /// `otel`, `telemetryflow`, or the path of a preset.
    pub preset: String,
    /// Seconds between two looks at the tables of ClickHouse.
    pub look_interval_s: NonZeroU64,
}

impl DatasetsConfig {
    /// Returns the time between two looks.
    pub fn look_interval(&self) -> Duration {
        Duration::from_secs(self.look_interval_s.get())
    }
}

/// Datasets, each with the tables and columns that it may have.
#[derive(Clone, Debug)]
pub struct Preset {
    pub(crate) definitions: Vec<Definition>,
}

/// A preset that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the datasets are wrong: {}", .0.join("; "))]
pub struct PresetError(
    /// Everything that is wrong, each with the place.
    pub Vec<String>,
);

impl Preset {
    /// Reads presets, each a name (for messages) and its TOML text.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn load(presets: &[(&str, &str)]) -> Result<Self, PresetError> {
        let mut definitions: Vec<Definition> = Vec::new();
        let mut errors = Vec::new();
        for (preset, text) in presets {
            for definition in definition::read(preset, text, &mut errors) {
                let name = &definition.name;
                if definitions.iter().any(|other| other.name == *name) {
                    errors.push(format!("{preset}, {name}: is in another preset, too"));
                }
                definitions.push(definition);
            }
        }
        if definitions.is_empty() && errors.is_empty() {
            errors.push("there is no dataset".to_owned());
        }
        if errors.is_empty() {
            Ok(Self { definitions })
        } else {
            Err(PresetError(errors))
        }
    }

    /// Reads the preset that a configuration names.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or everything that is wrong with it.
    pub fn from_config(config: &DatasetsConfig) -> Result<Self, PresetError> {
        match config.preset.as_str() {
            name @ "otel" => Self::load(&[(name, OTEL_PRESET)]),
            name @ "telemetryflow" => Self::load(&[(name, TELEMETRYFLOW_PRESET)]),
            path => {
                let text = fs::read_to_string(path)
                    .map_err(|error| PresetError(vec![format!("{path}: {error}")]))?;
                Self::load(&[(path, &text)])
            }
        }
    }

    /// Returns what can be exported if the server has all of it: for when it has not been asked yet.
    pub fn assumed(&self) -> Catalogue {
        let datasets = self.definitions.iter().map(|definition| {
            let dataset = resolution::assume(definition);
            (definition.name.clone(), Ok(dataset.into()))
        });
        Catalogue::new(datasets.collect(), Vec::new())
    }

    /// Returns what of it the server has.
    pub(crate) fn resolve(&self, seen: &Seen) -> Catalogue {
        let mut lacks = Vec::new();
        let datasets = self.definitions.iter().map(|definition| {
            let resolution = resolution::resolve(definition, seen);
            lacks.extend(resolution.lacks);
            let dataset = resolution.dataset.map(Into::into);
            (definition.name.clone(), dataset)
        });
        Catalogue::new(datasets.collect(), lacks)
    }
}

#[cfg(test)]
mod tests {
    use super::{OTEL_PRESET, Preset, TELEMETRYFLOW_PRESET};

    #[test]
    fn the_presets_that_ship_are_right() {
        let names = |preset| -> Vec<_> {
            let preset = Preset::load(&[("preset", preset)]).unwrap();
            preset.definitions.into_iter().map(|it| it.name).collect()
        };
        assert_eq!(
            names(OTEL_PRESET),
            [
                "logs",
                "metrics",
                "metrics_exponential_histogram",
                "metrics_histogram",
                "metrics_summary",
                "profiles",
                "traces"
            ]
        );
        assert_eq!(names(TELEMETRYFLOW_PRESET), ["logs", "metrics", "traces"]);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let preset = r#"
            [Logs]
            table = ["logs`", "more"]
            time = ""
            tenant = "organization_id; DROP TABLE x"
            order_by = []
            columns = [
                { name = "Body", type = "string" },
                { name = "n", type = "integer" },
                { name = "n", type = "int8", sql = ["1", "2", "3"] },
                { name = "n", type = "int8" },
                { name = "m", type = "int8", sql = "a | " },
            ]
        "#;
        let error = Preset::load(&[("mine", preset), ("other", "[logs]")]).unwrap_err();
        let [first @ .., syntax] = &error.0[..] else {
            panic!("errors")
        };
        insta::assert_snapshot!(first.join("\n"), @r#"
            mine, Logs: the name must be lower-case letters, digits and underscores
            mine, Logs: "logs`" is not the name of a table
            mine, Logs: "" is not an expression
            mine, Logs: "organization_id; DROP TABLE x" is not an expression
            mine, Logs: the column "Body" must be named in snake case
            mine, Logs: the type of the column "n" has the unknown type "integer"; known are string, enum, uuid, ipv4, ipv6, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, date, timestamp, map, list and struct
            mine, Logs: the column "n" needs one expression for each table
            mine, Logs: the column "n" is there twice with the same type
            mine, Logs: "" is not an expression
        "#);
        assert!(
            syntax.starts_with("other: ") && syntax.contains("missing field"),
            "{syntax}"
        );
    }

    #[test]
    fn a_dataset_has_one_definition() {
        let error = Preset::load(&[
            ("otel", OTEL_PRESET),
            ("telemetryflow", TELEMETRYFLOW_PRESET),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 3);
        assert_eq!(error.0[0], "telemetryflow, logs: is in another preset, too");
    }
}
