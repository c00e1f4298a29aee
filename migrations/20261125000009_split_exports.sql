-- Exports of several files.

ALTER TABLE export_jobs
    -- How many files a completed job has. Where there are several, file_size is the sum of all, file_url what
    -- their addresses begin with, and the rest is in export_files.
    ADD COLUMN files INTEGER NOT NULL DEFAULT 1 CHECK (files > 0),
    DROP CONSTRAINT export_jobs_file,
    ADD CONSTRAINT export_jobs_file CHECK (
        status <> 'COMPLETED'
        OR (num_nulls(file_url, file_size) = 0 AND upload_id IS NULL
            AND num_nulls(object_key, sha256) = CASE WHEN files = 1 THEN 0 ELSE 2 END)
    );

-- The files of an export of several, but for the one that its last checkpoint is in: that is in export_jobs.
CREATE TABLE export_files (
    job_id     UUID NOT NULL REFERENCES export_jobs,
    -- Its place in the export, from 1.
    number     INTEGER NOT NULL CHECK (number > 0),
    object_key TEXT NOT NULL,
    -- The multipart upload, until it is known to have been completed.
    upload_id  TEXT,
    -- Known of a file that is whole. One without was begun behind the last checkpoint, and whoever goes on
    -- from there begins it anew.
    rows       BIGINT CHECK (rows >= 0),
    size_bytes BIGINT CHECK (size_bytes > 0),
    sha256     TEXT CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    -- What the upload is to be completed with, as in export_checkpoints.
    parts      JSONB CHECK (jsonb_typeof(parts) = 'array'),
    PRIMARY KEY (job_id, number),
    CONSTRAINT export_files_whole CHECK (num_nulls(rows, size_bytes, sha256) IN (0, 3)),
    CONSTRAINT export_files_parts CHECK (
        (parts IS NOT NULL) = (upload_id IS NOT NULL AND sha256 IS NOT NULL)
    )
);

-- The last bytes of the file up to the checkpoint, where they are too few for a part.
ALTER TABLE export_checkpoints ADD COLUMN rest BYTEA NOT NULL DEFAULT '';
