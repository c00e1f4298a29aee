-- What exports were and what they took: for the manifests of their files, and for estimates of others.

ALTER TABLE export_jobs
    -- The columns of the file, [{"name": "body", "type": "string", "nullable": false}, …], and the version
    -- of the worker that writes it.
    ADD COLUMN file_columns JSONB CHECK (jsonb_typeof(file_columns) = 'array'),
    ADD COLUMN service_version TEXT;

-- The exports of a kind that have made a file, of an organization and of all, latest first.
CREATE INDEX export_jobs_made_for_organization
    ON export_jobs (organization_id, data_type, format, compression, completed_at DESC)
    WHERE status IN ('COMPLETED', 'EXPIRED');
CREATE INDEX export_jobs_made
    ON export_jobs (data_type, format, compression, completed_at DESC)
    WHERE status IN ('COMPLETED', 'EXPIRED');
