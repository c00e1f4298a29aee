-- A row is an export job: what was asked for, and what has become of it.

CREATE TABLE export_jobs (
    job_id          UUID PRIMARY KEY,
    user_id         UUID NOT NULL REFERENCES users,
    organization_id UUID NOT NULL REFERENCES organizations,

    -- The request.
    data_type       TEXT NOT NULL CHECK (data_type ~ '^[a-z0-9_]{1,64}$'),
    format          TEXT NOT NULL CHECK (format IN ('csv', 'json', 'parquet')),
    compression     TEXT NOT NULL CHECK (compression IN ('gzip', 'zstd', 'none')),
    start_time      TIMESTAMPTZ NOT NULL,
    end_time        TIMESTAMPTZ NOT NULL,
    filters         JSONB CHECK (jsonb_typeof(filters) = 'object'),
    columns         JSONB CHECK (jsonb_typeof(columns) = 'array'),
    options         JSONB NOT NULL CHECK (jsonb_typeof(options) = 'object'),

    -- The state.
    status          TEXT NOT NULL DEFAULT 'PENDING' CHECK (
        status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')
    ),
    progress        INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    rows_exported   BIGINT NOT NULL DEFAULT 0 CHECK (rows_exported >= 0),
    rows_estimated  BIGINT CHECK (rows_estimated >= 0),
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    started_at      TIMESTAMPTZ,
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    completed_at    TIMESTAMPTZ,

    -- The right to work on it. The token grows with each claim; a write of a worker names it.
    token           BIGINT NOT NULL DEFAULT 0 CHECK (token >= 0),
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    lease_owner     TEXT,
    lease_until     TIMESTAMPTZ,
    run_after       TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- When a wake-up for the present wait went to the queue.
    dispatched_at   TIMESTAMPTZ,
    -- Why the last attempt failed, for operators; never shown to users.
    last_error      TEXT,

    -- The file. object_key and upload_id are also what an unfinished attempt leaves behind.
    object_key      TEXT,
    upload_id       TEXT,
    -- Where the object is (s3://bucket/key). Never a signed URL: those are made when asked for.
    file_url        TEXT,
    file_size       BIGINT CHECK (file_size >= 0),
    sha256          TEXT CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    expires_at      TIMESTAMPTZ,

    -- The reason of a failure, for users.
    error_code      TEXT,
    error_message   TEXT,

    CONSTRAINT export_jobs_range CHECK (end_time > start_time),
    CONSTRAINT export_jobs_parquet_compresses_inside CHECK (
        format <> 'parquet' OR compression = 'none'
    ),
    CONSTRAINT export_jobs_upload_has_key CHECK (upload_id IS NULL OR object_key IS NOT NULL),
    -- The states, as they are in the domain.
    CONSTRAINT export_jobs_lease CHECK (
        (status = 'PROCESSING') = (lease_until IS NOT NULL)
        AND (status = 'PROCESSING') = (lease_owner IS NOT NULL)
    ),
    CONSTRAINT export_jobs_started CHECK (status <> 'PROCESSING' OR started_at IS NOT NULL),
    CONSTRAINT export_jobs_ended CHECK (
        (status IN ('PENDING', 'PROCESSING')) = (completed_at IS NULL)
    ),
    CONSTRAINT export_jobs_full_progress CHECK (
        (status IN ('COMPLETED', 'EXPIRED')) = (progress = 100)
    ),
    CONSTRAINT export_jobs_file CHECK (
        status <> 'COMPLETED'
        OR (num_nulls(object_key, file_url, file_size, sha256) = 0 AND upload_id IS NULL)
    ),
    CONSTRAINT export_jobs_expiry CHECK (
        (status IN ('COMPLETED', 'EXPIRED')) = (expires_at IS NOT NULL)
    ),
    CONSTRAINT export_jobs_failure CHECK (
        (status = 'FAILED') = (error_code IS NOT NULL)
        AND (status = 'FAILED') = (error_message IS NOT NULL)
    )
);

-- The jobs that may be claimed now, longest due first: lease_until is there exactly while a
-- worker has the job, run_after counts while none has.
CREATE INDEX export_jobs_due ON export_jobs (COALESCE(lease_until, run_after))
    WHERE status IN ('PENDING', 'PROCESSING');

-- An organization's jobs, newest first.
CREATE INDEX export_jobs_listing ON export_jobs (organization_id, created_at DESC, job_id DESC);
