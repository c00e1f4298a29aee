-- The tables of the platform as the specification of the data export module has them.

CREATE TABLE organizations (
    organization_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    region_id       UUID,
    name            VARCHAR(255) NOT NULL,
    code            VARCHAR(50) UNIQUE,
    created_at      TIMESTAMP DEFAULT NOW()
);

CREATE TABLE users (
    user_id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id UUID REFERENCES organizations (organization_id),
    tenant_id       UUID,
    email           VARCHAR(255) UNIQUE,
    is_active       BOOLEAN DEFAULT TRUE,
    created_at      TIMESTAMP DEFAULT NOW(),
    deleted_at      TIMESTAMP
);

CREATE TABLE export_jobs (
    job_id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id         UUID NOT NULL REFERENCES users (user_id),
    organization_id UUID NOT NULL REFERENCES organizations (organization_id),
    data_type       VARCHAR(50) NOT NULL,
    format          VARCHAR(20) NOT NULL,
    start_time      TIMESTAMP NOT NULL,
    end_time        TIMESTAMP NOT NULL,
    filters         JSONB,
    status          VARCHAR(20) DEFAULT 'PENDING',
    progress        INTEGER DEFAULT 0,
    file_url        TEXT,
    file_size       BIGINT,
    error_message   TEXT,
    created_at      TIMESTAMP DEFAULT NOW(),
    completed_at    TIMESTAMP,
    CONSTRAINT valid_status CHECK (status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
    CONSTRAINT valid_format CHECK (format IN ('csv', 'json', 'parquet'))
);

CREATE INDEX idx_export_jobs_user ON export_jobs (user_id);
CREATE INDEX idx_export_jobs_status ON export_jobs (status);
