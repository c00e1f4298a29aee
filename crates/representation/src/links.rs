//! The addresses of exports.

use domain::{JobId, ScheduleId};
use url::Url;

/// Makes the addresses of exports: below the public address of the service when it is known, else
/// paths.
#[derive(Clone, Debug)]
pub struct Links {
    base: String,
}

impl Links {
    /// Makes links below `public_url`.
    pub fn new(public_url: Option<&Url>) -> Self {
        let base = public_url.map_or("", Url::as_str);
        Self {
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Tells whether the public address is known.
    pub fn are_absolute(&self) -> bool {
        !self.base.is_empty()
    }

    /// Returns the address of a page of the caller's jobs.
    pub fn list(&self, query: &str) -> String {
        format!("{}/api/v1/export?{query}", self.base)
    }

    /// Returns the address of a job.
    pub fn job(&self, id: JobId) -> String {
        format!("{}/api/v1/export/{id}", self.base)
    }

    /// Returns the address of a schedule.
    pub fn schedule(&self, id: ScheduleId) -> String {
        format!("{}/api/v1/export/schedules/{id}", self.base)
    }

    /// Returns the address of a page of a job's audit trail.
    pub fn audit(&self, id: JobId, query: &str) -> String {
        format!("{}/audit?{query}", self.job(id))
    }

    /// Returns the address of a job's file, if it is the only one.
    pub fn download(&self, id: JobId) -> String {
        format!("{}/download", self.job(id))
    }

    /// Returns the address of a file of a job by its number.
    pub fn download_of(&self, id: JobId, number: u32) -> String {
        format!("{}?file={number}", self.download(id))
    }

    /// Returns the address of what is said of a job's files.
    pub fn manifest(&self, id: JobId) -> String {
        format!("{}/manifest", self.job(id))
    }

    /// Returns the address of a link of an e-mail.
    pub fn follow(&self, token: &str) -> String {
        format!("{}/api/v1/links/{token}", self.base)
    }

    /// Returns the same for a file by its number.
    pub fn follow_to(&self, token: &str, number: u32) -> String {
        format!("{}?file={number}", self.follow(token))
    }
}

#[cfg(test)]
mod tests {
    use domain::JobId;
    use url::Url;
    use uuid::Uuid;

    use super::Links;

    #[test]
    fn links_are_paths_until_the_public_address_is_known() {
        let id = JobId::from(Uuid::nil());
        let path = format!("/api/v1/export/{id}/download");
        assert_eq!(Links::new(None).download(id), path);
        let public = Url::parse("https://export.example.com/telemetry/").unwrap();
        let expected = format!("https://export.example.com/telemetry{path}");
        assert_eq!(Links::new(Some(&public)).download(id), expected);
    }
}
