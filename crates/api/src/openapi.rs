//! The OpenAPI document, made from the handlers and the types that they send.

mod examples;
mod headers;
mod links;
mod nullable;
mod problems;
mod request;
mod schedule;
pub(crate) mod vocabulary;

use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{Modify, OpenApi};

pub(crate) use crate::openapi::request::ExportRequestSchema;
pub(crate) use crate::openapi::schedule::ScheduleRequestSchema;

use crate::openapi::examples::Examples;
use crate::openapi::headers::Headers;
use crate::openapi::links::MadeLinks;
use crate::openapi::problems::Problems;
use crate::problem::Document;
use crate::routes;

/// What the document is made of.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Data export",
        description = "Takes a window of an organization's logs, metrics or traces away as a file."
    ),
    paths(
        routes::create_export::create_export,
        routes::estimate_export::estimate_export,
        routes::list_exports::list_exports,
        routes::list_datasets::list_datasets,
        routes::get_export::get_export,
        routes::delete_export::delete_export,
        routes::watch_export::watch_export,
        routes::download_export::download_export,
        routes::get_manifest::get_manifest,
        routes::get_webhook_secret::get_webhook_secret,
        routes::schedules::create_schedule::create_schedule,
        routes::schedules::list_schedules::list_schedules,
        routes::schedules::get_schedule::get_schedule,
        routes::schedules::delete_schedule::delete_schedule,
        routes::get_audit::get_audit,
        routes::revoke_links::revoke_links,
        routes::follow_link::follow_link,
        routes::healthz::healthz,
        routes::readyz::readyz,
    ),
    components(schemas(Document<'static>)),
    modifiers(&Token, &WholeObjects, &Examples, &Problems, &Headers, &MadeLinks),
    tags(
        (name = "exports", description = "Exports: requested, listed, watched, withdrawn."),
        (name = "files", description = "The files of completed exports."),
        (name = "schedules", description = "Exports that recur."),
        (name = "service", description = "The service itself; needs no token."),
    ),
)]
struct Api;

/// Returns the document.
pub(crate) fn description() -> Description {
    Api::openapi()
}

/// Says how a caller proves who it is.
struct Token;

impl Modify for Token {
    fn modify(&self, description: &mut Description) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "A token of the platform, which names the user and the organization.",
            ));
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    }
}

/// Says that members are there even when they are null.
struct WholeObjects;

impl Modify for WholeObjects {
    fn modify(&self, description: &mut Description) {
        let schemas = &mut description.components.get_or_insert_default().schemas;
        for name in [
            "AuditEvent",
            "AuditPage",
            "Dataset",
            "Estimate",
            "Export",
            "Manifest",
            "Page",
            "Schedule",
        ] {
            if let Some(RefOr::T(Schema::Object(schema))) = schemas.get_mut(name) {
                schema.required = schema.properties.keys().cloned().collect();
            }
        }
    }
}
