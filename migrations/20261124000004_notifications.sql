-- An e-mail about a job, with a schedule of its own: a mail server that is down never touches
-- the job.

CREATE TABLE notifications (
    id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id      UUID NOT NULL REFERENCES export_jobs,
    kind        TEXT NOT NULL CHECK (kind IN ('completed', 'failed')),
    user_id     UUID NOT NULL REFERENCES users,
    status      TEXT NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'SENT', 'FAILED')),
    token       BIGINT NOT NULL DEFAULT 0 CHECK (token >= 0),
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    lease_until TIMESTAMPTZ,
    run_after   TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_error  TEXT,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now(),
    sent_at     TIMESTAMPTZ,

    UNIQUE (job_id, kind),
    CONSTRAINT notifications_lease CHECK (status = 'PENDING' OR lease_until IS NULL),
    CONSTRAINT notifications_sent CHECK ((status = 'SENT') = (sent_at IS NOT NULL))
);

CREATE INDEX notifications_due ON notifications (COALESCE(lease_until, run_after))
    WHERE status = 'PENDING';
