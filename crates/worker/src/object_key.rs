//! The keys of objects: `{organization}/{job}/{token}/{file name}`.

use domain::{ExportJob, JobId, OrganizationId};

/// Returns the key of the object that a claim begins.
pub(crate) fn of(job: &ExportJob, token: i64) -> String {
    let file_name = job.request.file_name();
    format!("{}/{}/{token}/{file_name}", job.organization, job.id)
}

/// Returns the job whose object has this key, or nothing when it is no key of ours.
pub(crate) fn job(key: &str) -> Option<JobId> {
    let mut segments = key.split('/');
    let organization = segments.next()?.parse::<OrganizationId>();
    let job = segments.next()?.parse::<JobId>();
    let token = segments.next()?.parse::<u64>();
    let file_name = segments.next()?;
    let ours = organization.is_ok() && token.is_ok() && !file_name.is_empty();
    job.ok().filter(|_| ours && segments.next().is_none())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    #[test]
    fn only_keys_of_ours_name_a_job() {
        let (organization, job) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let key = format!("{organization}/{job}/3/logs.csv.gz");
        assert_eq!(super::job(&key), Some(job.into()));
        for other in [
            "logs.csv.gz".to_owned(),
            format!("{organization}/{job}/logs.csv.gz"),
            format!("{organization}/{job}/x/logs.csv.gz"),
            format!("{organization}/{job}/3/"),
            format!("{organization}/{job}/3/logs/csv.gz"),
            format!("backup/{job}/3/logs.csv.gz"),
        ] {
            assert_eq!(super::job(&other), None, "{other}");
        }
    }
}
