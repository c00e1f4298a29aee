//! An example of each request and of each answer that is no problem.

mod answers;

use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr, Required};

use crate::openapi::request;

/// Adds the examples to the operations.
pub(super) struct Examples;

impl Modify for Examples {
    fn modify(&self, description: &mut OpenApi) {
        for item in description.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            operations.into_iter().flatten().for_each(add);
        }
    }
}

fn add(operation: &mut Operation) {
    // Whatever has a body takes a request for an export, which must be there.
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(Required::True);
        for content in body.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            for (name, summary, value) in request::examples() {
                let example = example(summary, value);
                content.examples.insert(name.to_owned(), RefOr::T(example));
            }
        }
    }
    let id = operation.operation_id.as_deref().unwrap_or_default();
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        let Some(answer) = answers::of(id, status) else {
            continue;
        };
        for content in response.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            let example = example("An answer", answer.clone());
            content
                .examples
                .insert("answer".to_owned(), RefOr::T(example));
        }
    }
}

fn example(summary: &str, value: Value) -> Example {
    ExampleBuilder::new()
        .summary(summary)
        .value(Some(value))
        .build()
}
