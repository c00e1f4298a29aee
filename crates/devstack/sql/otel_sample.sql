-- Sample telemetry of one organization: `rows` logs, `rows` spans, `rows` gauge and sum points together, a tenth as many of each other kind.
-- Parameters: organization String, start DateTime64(9) in UTC, seconds UInt64, rows UInt64.
-- The same parameters give the same rows.

INSERT INTO otel_logs
    (Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body, ResourceSchemaUrl, ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes)
WITH
    cityHash64(number, {organization:String}, 'log') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    multiIf(h2 % 100 < 60, 'INFO', h2 % 100 < 78, 'DEBUG', h2 % 100 < 90, 'WARN', h2 % 100 < 98, 'ERROR', h2 % 100 < 99, 'FATAL', '') AS severity,
    transform(severity, ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'], [5, 9, 13, 17, 21], 0) AS severity_no,
    ['/api/cart', '/api/cart/{id}', '/api/checkout', '/api/products', '/api/products/{id}', '/healthz'][h1 % 6 + 1] AS route
SELECT
    time,
    if(h1 % 5 = 0, '', concat(trace16, trace16)),
    if(h1 % 5 = 0, '', id16),
    h1 % 5 != 0,
    severity,
    severity_no,
    service,
    multiIf(
        number % 997 = 1, '',
        number % 997 = 2, concat('He said "it\'s 5 o\'clock", then left;\n\ttab, comma, and a \\ backslash \r\nline ', toString(number)),
        number % 997 = 3, concat('Zahlung über 12,50 € für „Grüße“ — 支払い完了 ✅ 👩‍💻 заказ №', toString(number)),
        number % 997 = 4, concat('=HYPERLINK("http://example.com/', toString(number), '","click")'),
        severity IN ('ERROR', 'FATAL') AND h1 % 2 = 0, concat(
            'java.lang.IllegalStateException: order ', id16, ' is already paid\n',
            '\tat shop.', service, '.OrderService.pay(OrderService.java:', toString(h1 % 400), ')\n',
            '\tat shop.', service, '.OrderController.post(OrderController.java:', toString(h2 % 200), ')\n',
            '\tat java.base/java.lang.Thread.run(Thread.java:1583)\n',
            'Caused by: java.sql.SQLException: duplicate key value violates unique constraint "payments_pkey"'),
        h1 % 4 = 0, concat(
            '{"event":"request","method":"GET","route":"', route, '","status":', toString([200, 201, 304, 404, 500][h % 5 + 1]),
            ',"elapsed_ms":', toString(h1 % 3000), ',"user":{"id":', toString(h2 % 100000), ',"tags":["a","b"]},"ok":true}'),
        h1 % 4 = 1, concat('cache miss for key product:', toString(h2 % 5000), ', loading it from the database'),
        h1 % 4 = 2, concat('GET ', route, ' answered in ', toString(h1 % 3000), ' ms'),
        concat('user ', toString(h2 % 100000), ' put ', toString(h1 % 9 + 1), ' items into the cart')),
    '',
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    '',
    concat('shop.', service, '.http'),
    '1.4.2',
    map('library.language', 'java'),
    multiIf(
        number % 1009 = 0, mapFromArrays(arrayMap(i -> concat('feature.flag.', toString(i)), range(120)), arrayMap(i -> if(i % 2 = 0, 'on', ''), range(120))),
        number % 13 = 0, map(),
        map(
            'http.request.method', if(h1 % 3 = 0, 'POST', 'GET'),
            'http.route', route,
            'http.response.status_code', toString([200, 201, 304, 404, 500][h % 5 + 1]),
            'thread.name', concat('worker-', toString(h2 % 32))
        ))
FROM numbers({rows:UInt64});

INSERT INTO otel_traces
    (Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage, Events.Timestamp, Events.Name, Events.Attributes, Links.TraceId, Links.SpanId, Links.TraceState, Links.Attributes)
WITH
    cityHash64(number, {organization:String}, 'span') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    ['GET /api/cart', 'POST /api/checkout', 'SELECT orders', 'GET /api/products', 'publish order.placed'][h1 % 5 + 1] AS span,
    intDiv(h1 % 1000000, 1000) * intDiv(h2 % 1000000, 1000) * 100 + 1000 AS duration,
    h2 % 25 = 0 AS failed,
    if(failed, 2, h2 % 3) AS event_count
SELECT
    time,
    concat(trace16, trace16),
    id16,
    if(number % 8 = 0, '', lower(hex(reinterpretAsFixedString(h2)))),
    if(h2 % 50 = 0, 'vendor=a:1;b:2', ''),
    span,
    ['Server', 'Client', 'Internal', 'Producer', 'Consumer'][h1 % 5 + 1],
    service,
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    concat('shop.', service, '.http'),
    '1.4.2',
    map(
        'http.request.method', if(h1 % 5 = 1, 'POST', 'GET'),
        'http.response.status_code', if(failed, '500', '200'),
        'server.address', concat(service, '.shop.svc.cluster.local'),
        'network.peer.address', concat('10.0.', toString(h1 % 4), '.', toString(h2 % 250)),
        'enduser.name', ['Åsa', 'O\'Neil', '李雷', ''][h2 % 4 + 1]
    ),
    duration,
    multiIf(failed, 'Error', h2 % 2 = 0, 'Ok', 'Unset'),
    if(failed, concat('upstream "payment" timed out after ', toString(h1 % 900), ' ms'), ''),
    arrayMap(i -> fromUnixTimestamp64Nano(nanos + toInt64(intDiv(duration, 4) * i), 'UTC'), range(event_count)),
    arrayMap(i -> if(failed AND i = 1, 'exception', 'message'), range(event_count)),
    arrayMap(i -> if(failed AND i = 1,
        map('exception.type', 'TimeoutError', 'exception.message', concat('no answer within ', toString(h1 % 900), ' ms'), 'exception.stacktrace', 'TimeoutError: no answer\n    at fetch (app.js:42:13)'),
        map('message.id', toString(i), 'message.type', 'RECEIVED')), range(event_count)),
    if(h1 % 10 = 0, [concat(id16, trace16)], []),
    if(h1 % 10 = 0, [trace16], []),
    if(h1 % 10 = 0, [''], []),
    if(h1 % 10 = 0, [map('link.reason', 'retry')], [])
FROM numbers({rows:UInt64});

INSERT INTO otel_metrics_gauge
    (ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Value, Flags, Exemplars.FilteredAttributes, Exemplars.TimeUnix, Exemplars.Value, Exemplars.SpanId, Exemplars.TraceId)
WITH
    cityHash64(number, {organization:String}, 'gauge') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    [('system.memory.utilization', 'Share of the memory in use', '1'), ('jvm.thread.count', 'Threads', '{thread}'), ('room.temperature', 'Temperature, measured in °C', 'Cel')][h1 % 3 + 1] AS metric
SELECT
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    'https://opentelemetry.io/schemas/1.26.0',
    'shop.metrics',
    '0.9.0',
    map(),
    0,
    '',
    service,
    metric.1,
    metric.2,
    metric.3,
    map('host.arch', 'arm64', 'state', ['idle', 'user', 'system', ''][h2 % 4 + 1], 'core', toString(h2 % 16)),
    {start:DateTime64(9, 'UTC')},
    time,
    if(metric.1 = 'jvm.thread.count', toFloat64(h1 % 400), (toFloat64(h1 % 2000000) - 500000) / 30000),
    0,
    if(h2 % 20 = 0, [map('http.route', '/api/cart')], []),
    if(h2 % 20 = 0, [time], []),
    if(h2 % 20 = 0, [toFloat64(h1 % 1000) / 8], []),
    if(h2 % 20 = 0, [id16], []),
    if(h2 % 20 = 0, [concat(trace16, trace16)], [])
FROM numbers(intDiv({rows:UInt64}, 2));

INSERT INTO otel_metrics_sum
    (ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Value, Flags, Exemplars.FilteredAttributes, Exemplars.TimeUnix, Exemplars.Value, Exemplars.SpanId, Exemplars.TraceId, AggregationTemporality, IsMonotonic)
WITH
    cityHash64(number, {organization:String}, 'sum') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    [('http.server.request.count', 'Requests', '{request}'), ('process.cpu.time', 'Seconds of CPU time', 's'), ('queue.length', 'Waiting messages', '{message}')][h1 % 3 + 1] AS metric
SELECT
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    'https://opentelemetry.io/schemas/1.26.0',
    'shop.metrics',
    '0.9.0',
    map(),
    0,
    '',
    service,
    metric.1,
    metric.2,
    metric.3,
    map('host.arch', 'arm64', 'state', ['idle', 'user', 'system', ''][h2 % 4 + 1], 'core', toString(h2 % 16)),
    {start:DateTime64(9, 'UTC')},
    time,
    if(metric.1 = 'process.cpu.time', toFloat64(number) / 7, toFloat64(h1 % 1000000)),
    0,
    if(h2 % 20 = 0, [map('http.route', '/api/cart')], []),
    if(h2 % 20 = 0, [time], []),
    if(h2 % 20 = 0, [toFloat64(h1 % 1000) / 8], []),
    if(h2 % 20 = 0, [id16], []),
    if(h2 % 20 = 0, [concat(trace16, trace16)], []),
    2,
    metric.1 != 'queue.length'
FROM numbers({rows:UInt64} - intDiv({rows:UInt64}, 2));

INSERT INTO otel_metrics_histogram
    (ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Count, Sum, BucketCounts, ExplicitBounds, Exemplars.FilteredAttributes, Exemplars.TimeUnix, Exemplars.Value, Exemplars.SpanId, Exemplars.TraceId, Flags, Min, Max, AggregationTemporality)
WITH
    cityHash64(number, {organization:String}, 'histogram') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    [('http.server.request.duration', 'Duration of requests', 'ms'), ('db.client.operation.duration', 'Duration of queries', 'ms'), ('rpc.server.request.size', 'Size of requests', 'By')][h1 % 3 + 1] AS metric,
    [0., 5., 10., 25., 50., 75., 100., 250., 500., 750., 1000., 2500., 5000., 7500., 10000.] AS bounds,
    arrayMap(i -> cityHash64(h, i) % 100, range(16)) AS buckets
SELECT
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    'https://opentelemetry.io/schemas/1.26.0',
    'shop.metrics',
    '0.9.0',
    map(),
    0,
    '',
    service,
    metric.1,
    metric.2,
    metric.3,
    map('host.arch', 'arm64', 'state', ['idle', 'user', 'system', ''][h2 % 4 + 1], 'core', toString(h2 % 16)),
    {start:DateTime64(9, 'UTC')},
    time,
    arraySum(buckets),
    toFloat64(arraySum(buckets)) * (h1 % 900) / 7,
    buckets,
    bounds,
    if(h2 % 20 = 0, [map('http.route', '/api/cart')], []),
    if(h2 % 20 = 0, [time], []),
    if(h2 % 20 = 0, [toFloat64(h1 % 1000) / 8], []),
    if(h2 % 20 = 0, [id16], []),
    if(h2 % 20 = 0, [concat(trace16, trace16)], []),
    0,
    toFloat64(h1 % 5),
    toFloat64(10000 + h1 % 5000),
    1
FROM numbers(intDiv({rows:UInt64}, 10));

INSERT INTO otel_metrics_exponential_histogram
    (ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Count, Sum, Scale, ZeroCount, PositiveOffset, PositiveBucketCounts, NegativeOffset, NegativeBucketCounts, Exemplars.FilteredAttributes, Exemplars.TimeUnix, Exemplars.Value, Exemplars.SpanId, Exemplars.TraceId, Flags, Min, Max, AggregationTemporality)
WITH
    cityHash64(number, {organization:String}, 'exponential') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    [('http.server.request.duration', 'Duration of requests', 'ms'), ('db.client.operation.duration', 'Duration of queries', 'ms'), ('rpc.server.request.size', 'Size of requests', 'By')][h1 % 3 + 1] AS metric,
    arrayMap(i -> cityHash64(h, i) % 100, range(h1 % 40)) AS positive
SELECT
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    'https://opentelemetry.io/schemas/1.26.0',
    'shop.metrics',
    '0.9.0',
    map(),
    0,
    '',
    service,
    metric.1,
    metric.2,
    metric.3,
    map('host.arch', 'arm64', 'state', ['idle', 'user', 'system', ''][h2 % 4 + 1], 'core', toString(h2 % 16)),
    {start:DateTime64(9, 'UTC')},
    time,
    arraySum(positive) + h2 % 3,
    toFloat64(arraySum(positive)) * (h1 % 900) / 7,
    3,
    h2 % 3,
    toInt32(h1 % 20) - 10,
    positive,
    0,
    [],
    if(h2 % 20 = 0, [map('http.route', '/api/cart')], []),
    if(h2 % 20 = 0, [time], []),
    if(h2 % 20 = 0, [toFloat64(h1 % 1000) / 8], []),
    if(h2 % 20 = 0, [id16], []),
    if(h2 % 20 = 0, [concat(trace16, trace16)], []),
    0,
    0.5,
    toFloat64(1000 + h1 % 5000),
    2
FROM numbers(intDiv({rows:UInt64}, 10));

INSERT INTO otel_metrics_summary
    (ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount, ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Count, Sum, ValueAtQuantiles.Quantile, ValueAtQuantiles.Value, Flags)
WITH
    cityHash64(number, {organization:String}, 'summary') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    [('rpc.duration', 'Duration of calls', 's'), ('gc.pause', 'Pauses of the collector', 's'), ('batch.size', 'Rows of a batch', '{row}')][h1 % 3 + 1] AS metric
SELECT
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'telemetryflow.organization.id', {organization:String},
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    'https://opentelemetry.io/schemas/1.26.0',
    'shop.metrics',
    '0.9.0',
    map(),
    0,
    '',
    service,
    metric.1,
    metric.2,
    metric.3,
    map('host.arch', 'arm64', 'state', ['idle', 'user', 'system', ''][h2 % 4 + 1], 'core', toString(h2 % 16)),
    {start:DateTime64(9, 'UTC')},
    time,
    h1 % 10000,
    toFloat64(h1 % 10000) / 3,
    [0.5, 0.9, 0.99],
    [toFloat64(h1 % 100) / 8, toFloat64(h1 % 100) / 4, toFloat64(h1 % 100) / 2],
    0
FROM numbers(intDiv({rows:UInt64}, 10));
