-- An export that recurs. A worker makes a job of it whenever it is due.

CREATE TABLE export_schedules (
    schedule_id     UUID PRIMARY KEY,
    -- The platform may remove users and organizations all the same: the schedule says then that it
    -- cannot run.
    user_id         UUID NOT NULL,
    organization_id UUID NOT NULL,

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

CREATE INDEX export_schedules_due ON export_schedules (next_run_at);
CREATE INDEX export_schedules_listing ON export_schedules (organization_id, created_at, schedule_id);

ALTER TABLE export_jobs
    -- The schedule that made the job, which may be gone, and which of its runs it is.
    ADD COLUMN schedule_id UUID,
    ADD COLUMN scheduled_for TIMESTAMPTZ,
    -- Where the object is, below the prefix of the organization.
    ADD COLUMN key_prefix TEXT,
    ADD CONSTRAINT export_jobs_scheduled CHECK (
        (schedule_id IS NULL) = (scheduled_for IS NULL)
    );

-- Each run makes one job, however many workers see it.
CREATE UNIQUE INDEX export_jobs_run ON export_jobs (schedule_id, scheduled_for)
    WHERE schedule_id IS NOT NULL;
