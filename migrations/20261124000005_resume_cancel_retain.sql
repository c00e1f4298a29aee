-- What lets another worker go on with an export, and what is left of one that ended otherwise.

ALTER TABLE export_jobs
    -- What the multipart upload holds: the slices that are read for it, and for which dataset and
    -- version of the service. A worker that finds something else starts over.
    ADD COLUMN upload_plan JSONB CHECK (jsonb_typeof(upload_plan) = 'object'),
    -- The highest part number that any claim may have used. Each claim uses numbers above those
    -- of the claims before it, so that a worker that has lost its lease cannot replace a part.
    ADD COLUMN parts_reserved INTEGER NOT NULL DEFAULT 0 CHECK (parts_reserved BETWEEN 0 AND 10000),
    -- How often a lease ended under a worker since the last checkpoint: a job that kills workers
    -- must not do so for ever.
    ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0),
    -- When somebody deleted the file before its time.
    ADD COLUMN deleted_at TIMESTAMPTZ,
    ADD CONSTRAINT export_jobs_plan_of_upload CHECK (upload_plan IS NULL OR upload_id IS NOT NULL),
    ADD CONSTRAINT export_jobs_deleted CHECK (deleted_at IS NULL OR status = 'EXPIRED');

-- The files whose time is over, longest first.
CREATE INDEX export_jobs_expiring ON export_jobs (expires_at) WHERE status = 'COMPLETED';

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
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, slices)
);

-- What is to be removed from the bucket. A row is written in the transaction in which a job lets go of
-- it, or when somebody finds what its job does not name, and stays until the storage has done it.
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

CREATE INDEX export_removals_due ON export_removals (run_after, removal_id);
CREATE INDEX export_removals_key ON export_removals (object_key);

-- When the bucket is to be looked through next for what no job needs; one process does it.
CREATE TABLE export_sweep (
    singleton BOOLEAN PRIMARY KEY DEFAULT true CHECK (singleton),
    due_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
INSERT INTO export_sweep DEFAULT VALUES;

ALTER TABLE export_events
    DROP CONSTRAINT export_events_kind_check,
    ADD CONSTRAINT export_events_kind_check CHECK (
        kind IN ('requested', 'started', 'resumed', 'started_over', 'completed', 'failed',
                 'cancelled', 'downloaded', 'deleted', 'expired', 'unnotified')
    );
