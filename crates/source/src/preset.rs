//! Which catalogue a process uses.

use std::fs;

use serde::Deserialize;

use crate::catalogue::{Catalogue, CatalogueError, OTEL_PRESET, TELEMETRYFLOW_PRESET};

/// The `datasets` section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetsConfig {
    /// `otel`, `telemetryflow`, or the path of a preset.
    pub preset: String,
}

impl Catalogue {
    /// Reads the preset that a configuration names.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or everything that is wrong with it.
    pub fn from_config(config: &DatasetsConfig) -> Result<Self, CatalogueError> {
        match config.preset.as_str() {
            name @ "otel" => Self::load(&[(name, OTEL_PRESET)]),
            name @ "telemetryflow" => Self::load(&[(name, TELEMETRYFLOW_PRESET)]),
            path => {
                let text = fs::read_to_string(path)
                    .map_err(|error| CatalogueError(vec![format!("{path}: {error}")]))?;
                Self::load(&[(path, &text)])
            }
        }
    }
}
