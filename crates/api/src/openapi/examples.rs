//! An example of each request and of each answer that is no problem.

mod answers;

use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr, Required};

use crate::openapi::{request, schedule};

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
    let id = operation.operation_id.as_deref().unwrap_or_default();
    // Whatever takes a body takes one of two kinds, and it must be there.
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.required = Some(Required::True);
        for content in body.content.values_mut() {
            let RefOr::T(content) = content else { continue };
            let of_schedules = schedule::examples();
            let of_exports = request::examples();
            let examples = match id {
                "create_schedule" => &of_schedules[..],
                _ => &of_exports[..],
            };
            for (name, summary, value) in examples.iter().cloned() {
                let example = example(summary, value);
                content.examples.insert(name.to_owned(), RefOr::T(example));
            }
        }
    }
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
