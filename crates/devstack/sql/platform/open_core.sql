-- The tables of the platform's open core, which TypeORM makes.

CREATE EXTENSION IF NOT EXISTS "uuid-ossp";

CREATE TABLE migrations (
    id        SERIAL PRIMARY KEY,
    timestamp BIGINT NOT NULL,
    name      VARCHAR NOT NULL
);

CREATE TABLE regions (
    region_id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    name      VARCHAR(255) NOT NULL
);

CREATE TABLE organizations (
    organization_id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    name            VARCHAR(255) NOT NULL,
    code            VARCHAR(50) NOT NULL UNIQUE,
    region_id       UUID NOT NULL REFERENCES regions,
    is_active       BOOLEAN NOT NULL DEFAULT TRUE,
    created_at      TIMESTAMP NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP
);

CREATE TABLE users (
    id              UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    email           VARCHAR(255) NOT NULL UNIQUE,
    password        VARCHAR(255) NOT NULL,
    "firstName"     VARCHAR(100),
    "lastName"      VARCHAR(100),
    avatar          VARCHAR(500),
    timezone        VARCHAR(50) DEFAULT 'UTC',
    locale          VARCHAR(10) DEFAULT 'en-US',
    organization_id UUID REFERENCES organizations,
    tenant_id       UUID,
    "isActive"      BOOLEAN NOT NULL DEFAULT TRUE,
    "createdAt"     TIMESTAMP NOT NULL DEFAULT NOW(),
    deleted_at      TIMESTAMP
);
