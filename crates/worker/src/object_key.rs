//! The keys of objects: `{organization}/{job}/{token}/{file name}`, with the prefix of a schedule behind
//! the organization.

use domain::{ExportJob, JobId, OrganizationId};
use store::jobs::Claim;

/// Returns the key of the object that a claim begins for the file of a number.
pub(crate) fn of(claim: &Claim, number: u32) -> String {
    let file_name = claim.request.file_name(number);
    format!("{}{}/{file_name}", all_of(&claim.job), claim.token())
}

/// Returns what the keys of all objects of a job begin with.
pub(crate) fn all_of(job: &ExportJob) -> String {
    let prefix = job.key_prefix.as_ref();
    let prefix = prefix.map_or_else(String::new, |prefix| format!("{prefix}/"));
    format!("{}/{prefix}{}/", job.organization, job.id)
}

/// Returns the job whose object has this key, or nothing when it is no key of ours.
pub(crate) fn job(key: &str) -> Option<JobId> {
    let (organization, rest) = key.split_once('/')?;
    let mut segments = rest.rsplit('/');
    let file_name = segments.next()?;
    let token = segments.next()?.parse::<u64>();
    let job = segments.next()?.parse::<JobId>();
    let ours = organization.parse::<OrganizationId>().is_ok() && token.is_ok();
    job.ok().filter(|_| ours && !file_name.is_empty())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    #[test]
    fn only_keys_of_ours_name_a_job() {
        let (organization, job) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let key = format!("{organization}/{job}/3/logs.csv.gz");
        assert_eq!(super::job(&key), Some(job.into()));
        let key = format!("{organization}/nightly/errors/{job}/3/logs.csv.gz");
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
