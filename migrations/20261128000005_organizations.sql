-- What an organization has used, and its exports that recur.

-- What an organization has exported on a day (UTC). A row is written to in the transaction in which a
-- job is completed, so that it is the sum of the files of that day, whatever became of them since.
CREATE TABLE export_usage (
    organization_id UUID NOT NULL,
    day             DATE NOT NULL,
    rows            BIGINT NOT NULL CHECK (rows >= 0),
    size_bytes      BIGINT NOT NULL CHECK (size_bytes >= 0),
    PRIMARY KEY (organization_id, day)
);

-- What a request for an export is measured by: how many jobs of the organization wait, up to
-- max_queued of them, and its usage of the day. Until the end of the transaction no other request of
-- the organization gets an answer, so that no two of them take the same place in the queue.
CREATE FUNCTION export_quota_used(organization UUID, max_queued BIGINT)
    RETURNS TABLE (queued BIGINT, rows BIGINT, size_bytes BIGINT) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('quota ' || organization, 0));
    -- A statement of its own: it has to see what the last holder of the lock has committed.
    RETURN QUERY
        SELECT waiting.jobs, COALESCE(usage.rows, 0), COALESCE(usage.size_bytes, 0)
        FROM (
            SELECT count(*) AS jobs FROM (
                SELECT FROM export_jobs
                WHERE organization_id = organization AND status = 'PENDING'
                LIMIT max_queued
            ) AS up_to_the_limit
        ) AS waiting
        LEFT JOIN export_usage AS usage
            ON usage.organization_id = organization AND day = (now() AT TIME ZONE 'UTC')::date;
END
$$;

-- When all requests of an organization are there again, for the rate limit. Not worth a write-ahead log:
-- after a crash everybody begins anew.
CREATE UNLOGGED TABLE export_rates (
    organization_id UUID PRIMARY KEY,
    full_at         TIMESTAMPTZ NOT NULL
);

-- An export that recurs. A worker makes a job of it whenever it is due.
CREATE TABLE export_schedules (
    schedule_id     UUID PRIMARY KEY,
    -- The platform may remove users and organizations all the same: the schedule says then that it
    -- cannot run.
    user_id         UUID NOT NULL,
    organization_id UUID NOT NULL,
    -- As in export_jobs.
    narrowed_to     JSONB NOT NULL DEFAULT '{}' CHECK (
        jsonb_typeof(narrowed_to) = 'object'
        AND NOT jsonb_path_exists(narrowed_to, 'strict $.* ? (@.type() <> "string")', '{}', true)
    ),

    -- The request.
    name            TEXT NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    cron            TEXT NOT NULL,
    time_zone       TEXT NOT NULL,
    last            TEXT NOT NULL CHECK (last IN ('hour', 'day', 'week', 'month')),
    key_prefix      TEXT,
    export          JSONB NOT NULL CHECK (jsonb_typeof(export) = 'object'),

    -- NULL for one that cannot run any more.
    next_run_at     TIMESTAMPTZ,
    last_run_at     TIMESTAMPTZ,
    last_job_id     UUID REFERENCES export_jobs,
    -- Why the last run made no job, for users.
    error_code      TEXT,
    error_message   TEXT,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),

    CONSTRAINT export_schedules_error CHECK (
        (error_code IS NULL) = (error_message IS NULL)
    )
);

-- Removes the indexes of which building was broken off, so that they are built again.
CREATE FUNCTION export_drop_unfinished_indexes() RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    unfinished REGCLASS;
BEGIN
    FOR unfinished IN
        SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON oid = indrelid
        WHERE NOT indisvalid AND pg_table_is_visible(indrelid)
          AND relname IN ('export_jobs', 'export_events', 'export_notifications', 'export_links',
                          'export_idempotency_keys', 'export_removals', 'export_schedules')
          AND indexrelid::regclass::text LIKE '%export\_%'
    LOOP
        EXECUTE format('DROP INDEX %s', unfinished);
    END LOOP;
END
$$;
