-- The tables of the TelemetryFlow platform.

CREATE TABLE IF NOT EXISTS logs_v3
(
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    severity_text LowCardinality(String),
    severity_number UInt8,
    service_name LowCardinality(String),
    organization_id String CODEC(ZSTD(1)),
    workspace_id Nullable(UUID),
    tenant_id Nullable(String) CODEC(ZSTD(1)),
    body String CODEC(ZSTD(1)),
    resource_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    log_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(log_attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(log_attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (organization_id, service_name, timestamp);

CREATE TABLE IF NOT EXISTS metrics_v3
(
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    metric_name LowCardinality(String),
    metric_type Enum8('gauge' = 1, 'sum' = 2, 'histogram' = 3, 'summary' = 4),
    value Nullable(Float64),
    service_name LowCardinality(String),
    organization_id String CODEC(ZSTD(1)),
    workspace_id Nullable(UUID),
    tenant_id Nullable(String) CODEC(ZSTD(1)),
    resource_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (organization_id, service_name, metric_name, timestamp);

CREATE TABLE IF NOT EXISTS traces_v3
(
    timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    span_name LowCardinality(String),
    service_name LowCardinality(String),
    organization_id String CODEC(ZSTD(1)),
    workspace_id Nullable(UUID),
    tenant_id Nullable(String) CODEC(ZSTD(1)),
    duration_nano UInt64 CODEC(ZSTD(1)),
    status_code Enum8('UNSET' = 0, 'OK' = 1, 'ERROR' = 2),
    status_message Nullable(String) CODEC(ZSTD(1)),
    resource_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    scope_name LowCardinality(String),
    scope_version LowCardinality(String),
    span_attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    events Nested
    (
        timestamp DateTime64(9),
        name LowCardinality(String),
        attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    links Nested
    (
        trace_id String,
        span_id String,
        attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (organization_id, service_name, span_name, timestamp);
