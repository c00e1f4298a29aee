//! The headers that answers of several operations have.

use utoipa::Modify;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};

/// When to ask again.
pub(super) const RETRY_AFTER: &str = "Retry-After";

/// What the rate limit says of each answer.
const RATE_LIMIT: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

/// Adds the headers themselves, and those of the rate limit to the operations that it counts.
pub(super) struct Headers;

impl Modify for Headers {
    fn modify(&self, description: &mut OpenApi) {
        let [left, policy] = RATE_LIMIT;
        let headers = &mut description.components.get_or_insert_default().headers;
        for (name, schema_type, text) in [
            (RETRY_AFTER, Type::Integer, "When to ask again, in seconds."),
            (
                left,
                Type::String,
                "Where there is a rate limit: how many requests are left (r), and in how many seconds \
                 there is one more (t), such as \"other\";r=59;t=1.",
            ),
            (
                policy,
                Type::String,
                "Where there is a rate limit: how many requests (q) there are in how many seconds (w), \
                 such as \"other\";q=60;w=60.",
            ),
        ] {
            let schema = ObjectBuilder::new().schema_type(schema_type);
            let header = HeaderBuilder::new()
                .schema(Some(schema))
                .description(Some(text));
            headers.insert(name.to_owned(), RefOr::T(header.build()));
        }
        for item in description.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            operations.into_iter().flatten().for_each(add);
        }
    }
}

/// Refers to a header.
pub(super) fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

fn add(operation: &mut Operation) {
    if operation.security.is_none() {
        return;
    }
    for (status, response) in &mut operation.responses.responses {
        // Whose request it is has to be known to be counted.
        if status == "401" {
            continue;
        }
        let RefOr::T(response) = response else {
            continue;
        };
        let headers = RATE_LIMIT.map(|name| (name.to_owned(), RefOr::Ref(header(name))));
        response.headers.extend(headers);
    }
}
