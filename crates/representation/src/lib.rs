//! An export job as clients see it, in answers of the API and in webhooks.

mod job;
mod links;
pub mod vocabulary;

pub use job::JobRepresentation;
pub use links::Links;
