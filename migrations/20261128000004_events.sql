-- What is told of a job: the audit trail, notifications and links; and what keeps a request from being
-- taken twice.

-- What happened to a job, when, through whom, from where.
CREATE TABLE export_events (
    event_id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id     UUID NOT NULL REFERENCES export_jobs,
    kind       TEXT NOT NULL CHECK (
        kind IN ('requested', 'started', 'resumed', 'started_over', 'completed', 'failed',
                 'cancelled', 'downloaded', 'deleted', 'expired', 'unnotified', 'link_followed',
                 'links_revoked', 'adopted')
    ),
    at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- NULL when the service itself did it. The trail outlives users.
    user_id    UUID,
    ip         INET,
    user_agent TEXT,
    -- Which file of an export of several somebody was sent to.
    file       INTEGER CHECK (file > 0)
);

CREATE FUNCTION export_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'export_events is append-only';
END
$$;

CREATE TRIGGER export_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON export_events
    FOR EACH STATEMENT EXECUTE FUNCTION export_events_append_only();

-- The jobs of another module that export_jobs had when it was taken over.
INSERT INTO export_events (job_id, kind) SELECT job_id, 'adopted' FROM export_jobs ORDER BY created_at;

-- A notification about the end of a job. It goes out by one channel: to the user by e-mail, or to the
-- webhook that the request names. Each has a schedule of its own, so that one that fails does not send
-- the other again, and a mail server that is down never touches the job.
CREATE TABLE export_notifications (
    id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id      UUID NOT NULL REFERENCES export_jobs,
    kind        TEXT NOT NULL CHECK (kind IN ('completed', 'failed')),
    channel     TEXT NOT NULL CHECK (channel IN ('email', 'webhook')),
    status      TEXT NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'SENT', 'FAILED')),
    token       BIGINT NOT NULL DEFAULT 0 CHECK (token >= 0),
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    lease_until TIMESTAMPTZ,
    run_after   TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error  TEXT,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    sent_at     TIMESTAMPTZ,

    CONSTRAINT export_notifications_once UNIQUE (job_id, kind, channel),
    CONSTRAINT export_notifications_lease CHECK (status = 'PENDING' OR lease_until IS NULL),
    CONSTRAINT export_notifications_sent CHECK ((status = 'SENT') = (sent_at IS NOT NULL))
);

-- Links of the service's own to files, for e-mails. Whoever has the token of a link has the file, for as
-- long as that is there. A link whose row is gone is revoked; export_events says who did it.
CREATE TABLE export_links (
    -- SHA-256 of the token. Nobody keeps the token itself.
    token_sha256 BYTEA PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    job_id       UUID NOT NULL REFERENCES export_jobs,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Which job a user's key stands for, so that a request that is sent again makes no second one. A key
-- counts for 24 hours; older ones are removed whenever a new one is written.
CREATE TABLE export_idempotency_keys (
    organization_id UUID NOT NULL,
    user_id         UUID NOT NULL,
    key             TEXT NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    -- SHA-256 of the body that the key came with first.
    request_sha256  BYTEA NOT NULL CHECK (octet_length(request_sha256) = 32),
    job_id          UUID NOT NULL REFERENCES export_jobs,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, user_id, key)
);
