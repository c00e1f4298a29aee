-- Links of the service's own to files, for e-mails. Whoever has the token of a link has the file, for as
-- long as that is there. A link whose row is gone is revoked; export_events says who did it.
CREATE TABLE export_links (
    -- SHA-256 of the token. Nobody keeps the token itself.
    token_sha256 BYTEA PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    job_id       UUID NOT NULL REFERENCES export_jobs,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX export_links_job ON export_links (job_id);

ALTER TABLE export_events
    DROP CONSTRAINT export_events_kind_check,
    ADD CONSTRAINT export_events_kind_check CHECK (
        kind IN ('requested', 'started', 'resumed', 'started_over', 'completed', 'failed',
                 'cancelled', 'downloaded', 'deleted', 'expired', 'unnotified', 'link_followed',
                 'links_revoked')
    );
