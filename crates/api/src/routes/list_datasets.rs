//! `GET /api/v1/export/datasets`: what can be exported, and how.

use axum::extract::State;
use axum::http::header::InvalidHeaderValue;
use axum::response::{IntoResponse, Response};
use domain::{Compression, Format, Narrowing, Op, Output, options_schema};
use serde::Serialize;
use serde_json::Value;
use source::{Catalogue, ColumnDescription, DatasetDescription};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Reader;
use crate::entity_tag::{EntityTag, IfNoneMatch};
use crate::openapi::vocabulary;
use crate::problem::Problem;

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum ListDatasetsError {
    /// There is no JSON for the datasets.
    #[error("the datasets cannot be written")]
    Body(#[from] serde_json::Error),
    /// The tag of the datasets is no header.
    #[error("the tag of the datasets is no header")]
    Tag(#[from] InvalidHeaderValue),
}

impl IntoResponse for ListDatasetsError {
    fn into_response(self) -> Response {
        Problem::internal(self).into_response()
    }
}

/// What can be exported, and what a file can be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Datasets<'a> {
    datasets: Vec<Dataset<'a>>,
    formats: Vec<FormatOffer>,
}

/// A dataset: what `data_type` names.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Dataset<'a> {
    name: &'a str,
    /// What people call it.
    title: Option<&'a str>,
    description: Option<&'a str>,
    /// In the order that a file has by default.
    columns: Vec<Column<'a>>,
}

/// A column, by the name that `columns` and `filters` have for it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Column<'a> {
    name: &'a str,
    /// `string`, `enum`, `uuid`, `ipv4`, `ipv6`, `bool`, `int8` to `int64`, `uint8` to `uint64`,
    /// `float32`, `float64`, `date`, `timestamp`, `map<string, string>`, `map<string, json>`, or `list<…>` and
    /// `struct<name: …>` of these, in which `?` stands behind what can be null.
    #[schema(example = "map<string, string>")]
    r#type: String,
    nullable: bool,
    /// Whether it is a map, of which a filter names a key: `attributes.http.route`.
    has_keys: bool,
    /// The operators of a filter on it; none where there can be no filter.
    #[schema(schema_with = vocabulary::operators)]
    operators: Vec<&'static str>,
}

/// A format, and what can be said of a file in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Format)]
struct FormatOffer {
    #[schema(schema_with = vocabulary::format)]
    format: Format,
    /// What can be around the file.
    #[schema(schema_with = vocabulary::compressions)]
    compressions: &'static [Compression],
    #[schema(schema_with = vocabulary::compression)]
    default_compression: Compression,
    /// A JSON Schema of `options`, with the defaults.
    #[schema(value_type = Object)]
    options: Value,
}

impl<'a> Datasets<'a> {
    /// Shows what a catalogue has for somebody.
    pub(crate) fn of(catalogue: &'a Catalogue, narrowed_to: &Narrowing) -> Self {
        Self {
            datasets: catalogue
                .describe()
                .filter(|dataset| catalogue.narrows(dataset.name, narrowed_to))
                .map(Dataset::from)
                .collect(),
            formats: Format::ALL.iter().copied().map(FormatOffer::from).collect(),
        }
    }
}

impl<'a> From<DatasetDescription<'a>> for Dataset<'a> {
    fn from(dataset: DatasetDescription<'a>) -> Self {
        Self {
            name: dataset.name,
            title: dataset.title,
            description: dataset.description,
            columns: dataset.columns.into_iter().map(Column::from).collect(),
        }
    }
}

impl<'a> From<ColumnDescription<'a>> for Column<'a> {
    fn from(column: ColumnDescription<'a>) -> Self {
        Self {
            name: column.name,
            r#type: column.value_type,
            nullable: column.nullable,
            has_keys: column.has_keys,
            operators: column.operators.iter().copied().map(Op::as_str).collect(),
        }
    }
}

impl From<Format> for FormatOffer {
    fn from(format: Format) -> Self {
        Self {
            format,
            compressions: format.compressions(),
            default_compression: Output::default_of(format).compression(),
            options: options_schema(format),
        }
    }
}

/// Answers 200 with the datasets and the formats, all that a form needs, or 304 when the client has
/// them already. They change with a release, the configuration, and the tables that ClickHouse has.
///
/// # Errors
///
/// None of its own.
#[utoipa::path(
    get, path = "/api/v1/export/datasets", tag = "exports", security(("token" = ["export:read"])),
    params((
        "If-None-Match" = Option<String>, Header,
        description = "The ETag of what is known already.",
    )),
    responses(
        (
            status = 200, description = "The datasets and the formats.", body = Datasets<'static>,
            headers(("ETag" = String, description = "Names these datasets and formats.")),
        ),
        (status = 304, description = "They are as they are known."),
    ),
)]
pub async fn list_datasets(
    State(app): State<App>,
    Reader(principal): Reader,
    condition: IfNoneMatch,
) -> Result<Response, ListDatasetsError> {
    let catalogue = app.catalogue.current();
    let body = serde_json::to_string(&Datasets::of(&catalogue, &principal.narrowed_to))?;
    Ok(condition.answer(&EntityTag::of(&body), &body)?)
}
