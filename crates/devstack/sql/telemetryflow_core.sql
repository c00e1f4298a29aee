-- The tables of the open core of the TelemetryFlow platform.

CREATE TABLE IF NOT EXISTS logs
(
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    observed_timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    trace_flags UInt32,
    severity_text String,
    severity_number UInt8,
    service_name String,
    organization_id String DEFAULT '',
    workspace_id String DEFAULT '',
    tenant_id String DEFAULT '',
    body String CODEC(ZSTD(1)),
    resource_attributes Map(String, String) CODEC(ZSTD(1)),
    scope_name String,
    scope_version String,
    log_attributes Map(String, String) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (service_name, timestamp);

CREATE TABLE IF NOT EXISTS metrics
(
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    metric_name String,
    metric_type Enum8('gauge' = 1, 'counter' = 2, 'histogram' = 3, 'summary' = 4),
    value Float64,
    service_name String,
    organization_id String DEFAULT '',
    workspace_id String DEFAULT '',
    tenant_id String DEFAULT '',
    resource_attributes Map(String, String) CODEC(ZSTD(1)),
    metric_attributes Map(String, String) CODEC(ZSTD(1)),
    unit String
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (service_name, metric_name, timestamp);

CREATE TABLE IF NOT EXISTS traces
(
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    span_name String,
    span_kind Enum8('INTERNAL' = 1, 'SERVER' = 2, 'CLIENT' = 3, 'PRODUCER' = 4, 'CONSUMER' = 5),
    service_name String,
    organization_id String DEFAULT '',
    workspace_id String DEFAULT '',
    tenant_id String DEFAULT '',
    duration_ns UInt64,
    status_code Enum8('UNSET' = 0, 'OK' = 1, 'ERROR' = 2),
    status_message String,
    resource_attributes Map(String, String) CODEC(ZSTD(1)),
    span_attributes Map(String, String) CODEC(ZSTD(1)),
    events String CODEC(ZSTD(1)),
    links String CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (service_name, trace_id, timestamp);
