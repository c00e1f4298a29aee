-- Which job a user's key stands for, so that a request that is sent again makes no second one. A key
-- counts for 24 hours; older ones are removed whenever a new one is written.
CREATE TABLE idempotency_keys (
    organization_id UUID NOT NULL,
    user_id         UUID NOT NULL,
    key             TEXT NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    -- SHA-256 of the body that the key came with first.
    request_sha256  BYTEA NOT NULL CHECK (octet_length(request_sha256) = 32),
    job_id          UUID NOT NULL REFERENCES export_jobs,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, user_id, key)
);

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
