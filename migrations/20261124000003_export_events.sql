-- The audit trail: what happened to a job, when, through whom, from where.

CREATE TABLE export_events (
    event_id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id     UUID NOT NULL REFERENCES export_jobs,
    kind       TEXT NOT NULL CHECK (
        kind IN ('requested', 'started', 'completed', 'failed', 'downloaded')
    ),
    at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- NULL when the service itself did it.
    user_id    UUID REFERENCES users,
    ip         INET,
    user_agent TEXT
);

CREATE INDEX export_events_job ON export_events (job_id, event_id);

CREATE FUNCTION export_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'export_events is append-only';
END
$$;

CREATE TRIGGER export_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON export_events
    FOR EACH STATEMENT EXECUTE FUNCTION export_events_append_only();
