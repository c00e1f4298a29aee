-- An organization's jobs, newest first, as its admins list them.
CREATE INDEX export_jobs_listing ON export_jobs (organization_id, created_at DESC, job_id DESC);
