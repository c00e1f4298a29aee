-- What the attempts of a job have stored, and what is to be removed from the bucket.

-- How far the upload of a job is: the parts that hold its first slices. Together the checkpoints
-- of a job are the beginning of its file; they go when the job ends or starts over.
CREATE TABLE export_checkpoints (
    job_id       UUID NOT NULL REFERENCES export_jobs,
    -- How many slices are in the file, those of earlier checkpoints included; the same for rows
    -- and bytes.
    slices       INTEGER NOT NULL CHECK (slices > 0),
    rows         BIGINT NOT NULL CHECK (rows >= 0),
    size_bytes   BIGINT NOT NULL CHECK (size_bytes > 0),
    -- The parts since the last checkpoint: [{"number": 1, "size_bytes": 8388608, "etag": "…"}, …]
    parts        JSONB NOT NULL CHECK (jsonb_typeof(parts) = 'array'),
    -- What the encoder must know about them.
    encoder      BYTEA NOT NULL,
    -- The SHA-256 of all bytes so far, unfinished.
    sha256_state BYTEA NOT NULL,
    -- The last bytes of the file up to the checkpoint, where they are too few for a part.
    rest         BYTEA NOT NULL DEFAULT '',
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, slices)
);

-- The files of an export of several, but for the one that its last checkpoint is in: that is in export_jobs.
CREATE TABLE export_files (
    job_id     UUID NOT NULL REFERENCES export_jobs,
    -- Its place in the export, from 1.
    number     INTEGER NOT NULL CHECK (number > 0),
    object_key TEXT NOT NULL,
    -- The multipart upload, until it is known to have been completed.
    upload_id  TEXT,
    -- Known of a file that is whole. One without was begun behind the last checkpoint, and the attempt
    -- that goes on from there begins it anew.
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

-- What is to be removed from the bucket. A row is written in the transaction in which a job lets go of
-- it, or when the sweep finds an orphan, and stays until the storage has removed it.
CREATE TABLE export_removals (
    removal_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id     UUID NOT NULL,
    object_key TEXT NOT NULL,
    -- The multipart upload to abort; NULL for the object itself.
    upload_id  TEXT,
    attempts   INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    run_after  TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- When the bucket is to be swept for orphans next; one process does it.
CREATE TABLE export_sweep (
    singleton BOOLEAN PRIMARY KEY DEFAULT true CHECK (singleton),
    due_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO export_sweep DEFAULT VALUES;
