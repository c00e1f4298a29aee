-- Users and organizations belong to the platform. Where its tables are missing, as in a
-- standalone installation, minimal ones make the foreign keys hold.

CREATE TABLE IF NOT EXISTS organizations (
    id         UUID PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS users (
    id              UUID PRIMARY KEY,
    organization_id UUID NOT NULL REFERENCES organizations,
    email           TEXT NOT NULL,
    name            TEXT,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);
