-- What an organization has exported on a day (UTC). A row is written to in the transaction in which a
-- job is completed, so that it is the sum of the files of that day, whatever became of them since.
CREATE TABLE export_usage (
    organization_id UUID NOT NULL REFERENCES organizations,
    day             DATE NOT NULL,
    rows            BIGINT NOT NULL CHECK (rows >= 0),
    size_bytes      BIGINT NOT NULL CHECK (size_bytes >= 0),
    PRIMARY KEY (organization_id, day)
);

-- What a request for an export is measured by: how many jobs of the organization wait, up to
-- max_queued of them, and its usage of the day. Until the end of the transaction no other request of
-- the organization gets an answer, so that no two of them take the same place in the queue.
CREATE FUNCTION export_quota_used(organization UUID, max_queued BIGINT)
    RETURNS TABLE (queued BIGINT, rows BIGINT, size_bytes BIGINT) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('quota ' || organization, 0));
    -- A statement of its own: it has to see what the last holder of the lock has committed.
    RETURN QUERY
        SELECT waiting.jobs, COALESCE(usage.rows, 0), COALESCE(usage.size_bytes, 0)
        FROM (
            SELECT count(*) AS jobs FROM (
                SELECT FROM export_jobs
                WHERE organization_id = organization AND status = 'PENDING'
                LIMIT max_queued
            ) AS up_to_the_limit
        ) AS waiting
        LEFT JOIN export_usage AS usage
            ON usage.organization_id = organization AND day = (now() AT TIME ZONE 'UTC')::date;
END
$$;

-- When all requests of an organization are there again, for the rate limit. Not worth a write-ahead log:
-- after a crash everybody begins anew.
CREATE UNLOGGED TABLE export_rates (
    organization_id UUID PRIMARY KEY,
    full_at         TIMESTAMPTZ NOT NULL
);
