-- A row is an export job: what was requested, and what has become of it.
--
-- The table begins as the specification of the data export module has it. An export_jobs that is
-- exactly so is taken over with its rows; any other is refused with the list of its differences.

CREATE TEMPORARY TABLE export_jobs_specified (
    job_id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id         UUID,
    organization_id UUID,
    data_type       VARCHAR(50) NOT NULL,
    format          VARCHAR(20) NOT NULL CHECK (format IN ('csv', 'json', 'parquet')),
    start_time      TIMESTAMP NOT NULL,
    end_time        TIMESTAMP NOT NULL,
    filters         JSONB,
    status          VARCHAR(20) DEFAULT 'PENDING'
                    CHECK (status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
    progress        INTEGER DEFAULT 0,
    file_url        TEXT,
    file_size       BIGINT,
    error_message   TEXT,
    created_at      TIMESTAMP DEFAULT now(),
    completed_at    TIMESTAMP
) ON COMMIT DROP;

DO $$
DECLARE
    specified   CONSTANT REGCLASS := 'pg_temp.export_jobs_specified';
    differences TEXT;
    incomplete  BIGINT;
    obsolete    NAME;
BEGIN
    IF to_regclass('export_jobs') IS NULL THEN
        CREATE TABLE export_jobs (LIKE export_jobs_specified INCLUDING ALL);
    END IF;

    WITH described AS (
        SELECT attrelid, attname AS name, format_type(atttypid, atttypmod) AS type,
               -- Whether these two may be NULL is left to the platform.
               attnotnull OR attname IN ('user_id', 'organization_id') AS required,
               pg_get_expr(adbin, adrelid) AS value
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid IN (specified, 'export_jobs'::regclass) AND attnum > 0 AND NOT attisdropped
    ), columns AS (
        SELECT CASE
            WHEN found.name IS NULL THEN format('the column %I is missing', wanted.name)
            WHEN wanted.name IS NULL THEN format('the column %I is not in the specification', found.name)
            WHEN found.type <> wanted.type
                THEN format('the column %I is %s, not %s', found.name, found.type, wanted.type)
            WHEN found.required <> wanted.required
                THEN format('the column %I is %s', found.name,
                            CASE WHEN found.required THEN 'NOT NULL' ELSE 'not NOT NULL' END)
            WHEN found.value IS DISTINCT FROM wanted.value
                THEN format('the default of the column %I is %s, not %s', found.name,
                            COALESCE(found.value, 'missing'), COALESCE(wanted.value, 'missing'))
        END AS difference
        FROM (SELECT * FROM described WHERE attrelid = specified) AS wanted
        FULL JOIN (SELECT * FROM described WHERE attrelid <> specified) AS found USING (name)
    ), constrained AS (
        SELECT conrelid, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint
        WHERE conrelid IN (specified, 'export_jobs'::regclass)
          -- NOT NULL, which newer servers list here too, is compared above.
          AND contype <> 'n'
          AND (contype <> 'f'
               OR confrelid NOT IN ('users'::regclass, 'organizations'::regclass))
    ), constraints AS (
        SELECT format('the constraint %s is missing', definition) AS difference
        FROM (SELECT definition FROM constrained WHERE conrelid = specified
              EXCEPT SELECT definition FROM constrained WHERE conrelid <> specified) AS missing
        UNION ALL
        SELECT format('the constraint %s is not in the specification', definition)
        FROM (SELECT definition FROM constrained WHERE conrelid <> specified
              EXCEPT SELECT definition FROM constrained WHERE conrelid = specified) AS more
    ), others AS (
        SELECT 'it is not an ordinary table' AS difference
        FROM pg_class WHERE oid = 'export_jobs'::regclass AND relkind <> 'r'
        UNION ALL
        SELECT 'row level security is enabled'
        FROM pg_class WHERE oid = 'export_jobs'::regclass AND relrowsecurity
        UNION ALL
        SELECT format('the trigger %I is not in the specification', tgname)
        FROM pg_trigger WHERE tgrelid = 'export_jobs'::regclass AND NOT tgisinternal
        UNION ALL
        SELECT format('the unique index %s is not in the specification', indexrelid::regclass)
        FROM pg_index
        WHERE indrelid = 'export_jobs'::regclass AND indisunique
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        UNION ALL
        SELECT format('the constraint %s may not be deferred or delete rows', pg_get_constraintdef(oid))
        FROM pg_constraint
        WHERE conrelid = 'export_jobs'::regclass AND contype = 'f'
          AND (condeferrable OR confdeltype <> 'a')
    )
    SELECT string_agg(difference, '; ' ORDER BY difference) INTO differences
    FROM (SELECT * FROM columns UNION ALL SELECT * FROM constraints UNION ALL SELECT * FROM others) AS each
    WHERE difference IS NOT NULL;
    IF differences IS NOT NULL THEN
        RAISE EXCEPTION 'the table % differs from the specification: %', 'export_jobs'::regclass,
            differences
            USING HINT = 'Rename it, or make it as the specification has it, and run migrate again.';
    END IF;

    SELECT count(*) INTO incomplete FROM export_jobs
    WHERE user_id IS NULL OR organization_id IS NULL;
    IF incomplete > 0 THEN
        RAISE EXCEPTION '% rows of the table % have no user_id or no organization_id', incomplete,
            'export_jobs'::regclass
            USING HINT = 'Complete or delete them, and run migrate again.';
    END IF;

    -- The states are richer from here on.
    FOR obsolete IN
        SELECT conname FROM pg_constraint
        WHERE conrelid = 'export_jobs'::regclass AND contype = 'c'
    LOOP
        EXECUTE format('ALTER TABLE export_jobs DROP CONSTRAINT %I', obsolete);
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'export_jobs'::regclass
                   AND contype = 'f' AND confrelid = 'users'::regclass) THEN
        ALTER TABLE export_jobs ADD CONSTRAINT export_jobs_user
            FOREIGN KEY (user_id) REFERENCES users;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'export_jobs'::regclass
                   AND contype = 'f' AND confrelid = 'organizations'::regclass) THEN
        ALTER TABLE export_jobs ADD CONSTRAINT export_jobs_organization
            FOREIGN KEY (organization_id) REFERENCES organizations (organization_id);
    END IF;
END
$$;

ALTER TABLE export_jobs
    -- Times of the specification have no zone; they are UTC.
    ALTER COLUMN start_time TYPE TIMESTAMPTZ USING start_time AT TIME ZONE 'UTC',
    ALTER COLUMN end_time TYPE TIMESTAMPTZ USING end_time AT TIME ZONE 'UTC',
    ALTER COLUMN created_at TYPE TIMESTAMPTZ USING created_at AT TIME ZONE 'UTC',
    ALTER COLUMN completed_at TYPE TIMESTAMPTZ USING completed_at AT TIME ZONE 'UTC',
    ALTER COLUMN data_type TYPE TEXT,
    ALTER COLUMN format TYPE TEXT,
    ALTER COLUMN status TYPE TEXT,

    -- The rest of the request. NULL in a row that was inserted by another module, until a worker takes
    -- it and fills in what the API has by default.
    ADD COLUMN compression TEXT CHECK (compression IN ('gzip', 'zstd', 'none')),
    ADD COLUMN columns JSONB CHECK (jsonb_typeof(columns) = 'array'),
    ADD COLUMN options JSONB CHECK (jsonb_typeof(options) = 'object'),
    -- The rows are only those that have these values in these fields: {"tenant_id": "acme"}. Set for
    -- somebody who may not see all rows of the organization; who may see others does not reach the job.
    ADD COLUMN narrowed_to JSONB NOT NULL DEFAULT '{}' CHECK (
        jsonb_typeof(narrowed_to) = 'object'
        AND NOT jsonb_path_exists(narrowed_to, 'strict $.* ? (@.type() <> "string")', '{}', true)
    ),
    -- Where in a trace the job was requested, as a traceparent of W3C Trace Context: the worker goes on
    -- with that trace.
    ADD COLUMN trace_parent TEXT CHECK (char_length(trace_parent) = 55),
    -- The schedule that made the job, which may be gone, and which of its runs it is.
    ADD COLUMN schedule_id UUID,
    ADD COLUMN scheduled_for TIMESTAMPTZ,
    -- Where the object is, below the prefix of the organization.
    ADD COLUMN key_prefix TEXT,

    -- The state.
    ADD COLUMN rows_exported BIGINT NOT NULL DEFAULT 0 CHECK (rows_exported >= 0),
    ADD COLUMN rows_estimated BIGINT CHECK (rows_estimated >= 0),
    ADD COLUMN started_at TIMESTAMPTZ,
    ADD COLUMN updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- Completed by another module, before this table was taken over: only file_url and file_size may
    -- be known of its file.
    ADD COLUMN adopted BOOLEAN NOT NULL DEFAULT false,
    -- The stable code of error_message.
    ADD COLUMN error_code TEXT,

    -- The right to work on it. The token grows with each claim; a write of a worker names it.
    ADD COLUMN token BIGINT NOT NULL DEFAULT 0 CHECK (token >= 0),
    ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Leases that ended under a worker since the last checkpoint: a job that kills workers must not
    -- do so for ever.
    ADD COLUMN lost_leases INTEGER NOT NULL DEFAULT 0 CHECK (lost_leases >= 0),
    ADD COLUMN lease_owner TEXT,
    ADD COLUMN lease_until TIMESTAMPTZ,
    ADD COLUMN run_after TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- When a wake-up for the present wait went to the queue.
    ADD COLUMN dispatched_at TIMESTAMPTZ,
    -- Why the last attempt failed, for operators; never shown to users.
    ADD COLUMN last_error TEXT,

    -- The file. object_key and upload_id are also what an unfinished attempt leaves behind. file_url is
    -- where the object is (s3://bucket/key), never a signed URL. Of several files, file_size is the sum,
    -- file_url what their addresses begin with, and the rest is in export_files.
    ADD COLUMN object_key TEXT,
    ADD COLUMN upload_id TEXT,
    -- What the multipart upload holds: the slices that are read for it, and for which dataset and
    -- version of the service. A worker that finds something else starts over.
    ADD COLUMN upload_plan JSONB CHECK (jsonb_typeof(upload_plan) = 'object'),
    -- The highest part number that any claim may have used. Each claim uses numbers above those of the
    -- claims before it, so that a worker that has lost its lease cannot replace a part.
    ADD COLUMN parts_reserved INTEGER NOT NULL DEFAULT 0 CHECK (parts_reserved BETWEEN 0 AND 10000),
    ADD COLUMN files INTEGER NOT NULL DEFAULT 1 CHECK (files > 0),
    ADD COLUMN sha256 TEXT CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    -- The columns of the file, [{"name": "body", "type": "string", "nullable": false}, …], and the
    -- version of the worker that writes it.
    ADD COLUMN file_columns JSONB CHECK (jsonb_typeof(file_columns) = 'array'),
    ADD COLUMN service_version TEXT,
    ADD COLUMN expires_at TIMESTAMPTZ,
    -- When somebody deleted the file before its time.
    ADD COLUMN deleted_at TIMESTAMPTZ;

-- The rows that were there. Nobody works on those that were PROCESSING any more.
UPDATE export_jobs
SET status = COALESCE(status, 'PENDING'), created_at = COALESCE(created_at, completed_at, now());

UPDATE export_jobs
SET status = CASE status WHEN 'PROCESSING' THEN 'PENDING' ELSE status END,
    progress = CASE status WHEN 'COMPLETED' THEN 100 ELSE 0 END,
    updated_at = COALESCE(completed_at, created_at),
    completed_at = CASE WHEN status IN ('COMPLETED', 'FAILED')
                        THEN COALESCE(completed_at, created_at) END,
    adopted = (status = 'COMPLETED'),
    file_url = CASE status WHEN 'COMPLETED' THEN file_url END,
    file_size = CASE WHEN status = 'COMPLETED' AND file_size >= 0 THEN file_size END,
    error_code = CASE status WHEN 'FAILED' THEN 'internal' END,
    error_message = CASE status WHEN 'FAILED'
                                THEN COALESCE(error_message, 'The export has failed.') END,
    last_error = CASE WHEN status <> 'FAILED' THEN error_message END;

ALTER TABLE export_jobs
    ALTER COLUMN user_id SET NOT NULL,
    ALTER COLUMN organization_id SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN progress SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN created_at SET DEFAULT now(),

    ADD CONSTRAINT export_jobs_status CHECK (
        status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED', 'EXPIRED')
    ),
    ADD CONSTRAINT export_jobs_format CHECK (format IN ('csv', 'json', 'parquet')),
    ADD CONSTRAINT export_jobs_times CHECK (
        start_time BETWEEN '0001-01-01Z' AND '9999-12-31Z'
        AND end_time BETWEEN '0001-01-01Z' AND '9999-12-31Z'
        AND created_at BETWEEN '0001-01-01Z' AND '9999-12-31Z'
    ),
    ADD CONSTRAINT export_jobs_progress CHECK (progress BETWEEN 0 AND 100),
    ADD CONSTRAINT export_jobs_file_size CHECK (file_size >= 0),
    ADD CONSTRAINT export_jobs_parquet_compresses_inside CHECK (
        format <> 'parquet' OR compression = 'none'
    ),
    ADD CONSTRAINT export_jobs_scheduled CHECK ((schedule_id IS NULL) = (scheduled_for IS NULL)),
    ADD CONSTRAINT export_jobs_upload_has_key CHECK (upload_id IS NULL OR object_key IS NOT NULL),
    ADD CONSTRAINT export_jobs_plan_of_upload CHECK (upload_plan IS NULL OR upload_id IS NOT NULL),
    -- The states, as they are in the domain.
    ADD CONSTRAINT export_jobs_lease CHECK (
        (status = 'PROCESSING') = (lease_until IS NOT NULL)
        AND (status = 'PROCESSING') = (lease_owner IS NOT NULL)
    ),
    ADD CONSTRAINT export_jobs_started CHECK (status <> 'PROCESSING' OR started_at IS NOT NULL),
    ADD CONSTRAINT export_jobs_ended CHECK (
        (status IN ('PENDING', 'PROCESSING')) = (completed_at IS NULL)
    ),
    ADD CONSTRAINT export_jobs_full_progress CHECK (
        (status IN ('COMPLETED', 'EXPIRED')) = (progress = 100)
    ),
    ADD CONSTRAINT export_jobs_adopted CHECK (NOT adopted OR status = 'COMPLETED'),
    ADD CONSTRAINT export_jobs_file CHECK (
        status <> 'COMPLETED' OR adopted
        OR (num_nulls(file_url, file_size) = 0 AND upload_id IS NULL
            AND num_nulls(object_key, sha256) = CASE WHEN files = 1 THEN 0 ELSE 2 END)
    ),
    ADD CONSTRAINT export_jobs_expiry CHECK (
        (status IN ('COMPLETED', 'EXPIRED') AND NOT adopted) = (expires_at IS NOT NULL)
    ),
    ADD CONSTRAINT export_jobs_deleted CHECK (deleted_at IS NULL OR status = 'EXPIRED'),
    ADD CONSTRAINT export_jobs_failure CHECK (
        (status = 'FAILED') = (error_code IS NOT NULL)
        AND (status = 'FAILED') = (error_message IS NOT NULL)
    );
