-- A notification goes out by one channel: to the user by e-mail, or to the webhook that the request
-- names. Each has a schedule of its own, so that one that fails does not send the other again.
ALTER TABLE notifications
    ADD COLUMN channel TEXT NOT NULL DEFAULT 'email' CHECK (channel IN ('email', 'webhook')),
    DROP CONSTRAINT notifications_job_id_kind_key,
    ADD CONSTRAINT notifications_once UNIQUE (job_id, kind, channel);

DROP INDEX notifications_due;
CREATE INDEX notifications_due ON notifications (channel, COALESCE(lease_until, run_after))
    WHERE status = 'PENDING';
