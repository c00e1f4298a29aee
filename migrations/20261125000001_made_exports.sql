-- What exports were and what they took: for the manifests of their files, and for estimates of others.

ALTER TABLE export_jobs
    -- The columns of the file, [{"name": "body", "type": "string", "nullable": false}, …], and the version
    -- of the worker that writes it.
    ADD COLUMN file_columns JSONB CHECK (jsonb_typeof(file_columns) = 'array'),
    ADD COLUMN service_version TEXT;
