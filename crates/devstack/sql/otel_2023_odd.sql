-- Rows of one organization with what only the tables until the middle of 2024 can hold.
-- Parameters: organization String, start DateTime64(9) in UTC.

INSERT INTO otel_logs (Timestamp, TraceFlags, SeverityNumber, Body, ResourceAttributes)
SELECT
    {start:DateTime64(9, 'UTC')} + INTERVAL number MINUTE,
    [0, 255, 256, 4294967295][number + 1],
    [-2147483648, -1, 255, 2147483647][number + 1],
    concat('numbers that do not fit into a byte, ', toString(number)),
    map('telemetryflow.organization.id', {organization:String})
FROM numbers(4);

INSERT INTO otel_traces (Timestamp, Duration, ResourceAttributes)
SELECT
    {start:DateTime64(9, 'UTC')} + INTERVAL number MINUTE,
    [-1, 0, -9223372036854775808, 9223372036854775807][number + 1],
    map('telemetryflow.organization.id', {organization:String})
FROM numbers(4);
