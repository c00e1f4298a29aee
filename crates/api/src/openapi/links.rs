//! What can be done with what a request has made, as links from its answer.

use utoipa::Modify;
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::{OpenApi, RefOr};

/// Adds the links.
pub(super) struct MadeLinks;

impl Modify for MadeLinks {
    fn modify(&self, description: &mut OpenApi) {
        let paths = &mut description.paths.paths;
        for (makes, status, member) in [
            ("/api/v1/export", "202", "job_id"),
            ("/api/v1/export/schedules", "201", "schedule_id"),
        ] {
            let of_one = format!("{makes}/{{id}}");
            let operations: Vec<_> = paths
                .iter()
                .filter(|(path, _)| path.starts_with(&of_one))
                .flat_map(|(_, item)| operation_ids(item))
                .collect();
            let maker = paths.get_mut(makes).and_then(|item| item.post.as_mut());
            let answer = maker.and_then(|maker| maker.responses.responses.get_mut(status));
            let Some(RefOr::T(answer)) = answer else {
                continue;
            };
            for id in operations {
                let link = LinkBuilder::new()
                    .operation_id(&id)
                    .parameter("id", format!("$response.body#/{member}"));
                answer.links.insert(id, RefOr::T(link.build()));
            }
        }
    }
}

fn operation_ids(item: &PathItem) -> Vec<String> {
    let operations = [&item.get, &item.post, &item.delete];
    let operations = operations.into_iter().flatten();
    operations
        .filter_map(|one| one.operation_id.clone())
        .collect()
}
