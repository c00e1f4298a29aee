-- A user's jobs within an organization, newest first. Nothing ever listed all of an organization's.
CREATE INDEX export_jobs_own
    ON export_jobs (organization_id, user_id, created_at DESC, job_id DESC);
DROP INDEX export_jobs_listing;
