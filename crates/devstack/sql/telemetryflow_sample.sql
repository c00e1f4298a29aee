-- Sample telemetry of one organization: `rows` logs, `rows` metric points, `rows` spans.
-- Parameters: organization String, start DateTime64(9) in UTC, seconds UInt64, rows UInt64.
-- The same parameters give the same rows.

INSERT INTO logs_v3
    (timestamp, trace_id, span_id, severity_text, severity_number, service_name, organization_id, workspace_id, tenant_id, body, resource_attributes, scope_name, scope_version, log_attributes)
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
    severity,
    severity_no,
    service,
    {organization:String},
    if(h2 % 4 = 0, NULL, toUUID('6b1f3c52-6f0a-4c1e-9d3b-00000000000a')),
    multiIf(h2 % 7 = 0, NULL, h2 % 7 = 1, '', concat('tenant-', toString(h2 % 5))),
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
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    concat('shop.', service, '.http'),
    '1.4.2',
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

INSERT INTO metrics_v3
    (timestamp, metric_name, metric_type, value, service_name, organization_id, workspace_id, tenant_id, resource_attributes, scope_name, scope_version, attributes)
WITH
    cityHash64(number, {organization:String}, 'metric') AS h,
    cityHash64(h, 1) AS h1,
    cityHash64(h, 2) AS h2,
    greatest(intDiv({seconds:UInt64} * 1000000000, greatest({rows:UInt64}, 1)), 1) AS step,
    toUnixTimestamp64Nano({start:DateTime64(9, 'UTC')}) + toInt64(number * step + h % step) AS nanos,
    fromUnixTimestamp64Nano(nanos, 'UTC') AS time,
    ['checkout', 'cart', 'payment', 'inventory', 'frontend', 'search', 'recommendation', 'e-mail'] AS services,
    services[h % 8 + 1] AS service,
    lower(hex(reinterpretAsFixedString(h1))) AS id16,
    lower(hex(reinterpretAsFixedString(cityHash64(intDiv(number, 8), {organization:String})))) AS trace16,
    [('http.server.request.count', 'sum'), ('system.memory.utilization', 'gauge'), ('http.server.request.duration', 'histogram'), ('gc.pause', 'summary')][h1 % 4 + 1] AS metric
SELECT
    time,
    metric.1,
    metric.2,
    if(h2 % 50 = 0, NULL, (toFloat64(h1 % 2000000) - 500000) / 30000),
    service,
    {organization:String},
    if(h2 % 4 = 0, NULL, toUUID('6b1f3c52-6f0a-4c1e-9d3b-00000000000a')),
    multiIf(h2 % 7 = 0, NULL, h2 % 7 = 1, '', concat('tenant-', toString(h2 % 5))),
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
        'deployment.environment', if(h1 % 10 = 0, 'staging', 'production'),
        'k8s.pod.name', concat(service, '-7d4b9c-', substring(id16, 1, 5)),
        'cloud.region', ['eu-central-1', 'us-east-1', 'ap-southeast-3'][h2 % 3 + 1]
    ),
    'shop.metrics',
    '0.9.0',
    map('host.arch', 'arm64', 'state', ['idle', 'user', 'system', ''][h2 % 4 + 1], 'core', toString(h2 % 16))
FROM numbers({rows:UInt64});

INSERT INTO traces_v3
    (timestamp, trace_id, span_id, parent_span_id, span_name, service_name, organization_id, workspace_id, tenant_id, duration_nano, status_code, status_message, resource_attributes, scope_name, scope_version, span_attributes, events.timestamp, events.name, events.attributes, links.trace_id, links.span_id, links.attributes)
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
    span,
    service,
    {organization:String},
    if(h2 % 4 = 0, NULL, toUUID('6b1f3c52-6f0a-4c1e-9d3b-00000000000a')),
    multiIf(h2 % 7 = 0, NULL, h2 % 7 = 1, '', concat('tenant-', toString(h2 % 5))),
    duration,
    multiIf(failed, 'ERROR', h2 % 2 = 0, 'OK', 'UNSET'),
    if(failed, concat('upstream "payment" timed out after ', toString(h1 % 900), ' ms'), NULL),
    map(
        'service.name', service,
        'service.version', concat('2.', toString(h1 % 12), '.', toString(h2 % 30)),
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
    arrayMap(i -> fromUnixTimestamp64Nano(nanos + toInt64(intDiv(duration, 4) * i), 'UTC'), range(event_count)),
    arrayMap(i -> if(failed AND i = 1, 'exception', 'message'), range(event_count)),
    arrayMap(i -> if(failed AND i = 1,
        map('exception.type', 'TimeoutError', 'exception.message', concat('no answer within ', toString(h1 % 900), ' ms'), 'exception.stacktrace', 'TimeoutError: no answer\n    at fetch (app.js:42:13)'),
        map('message.id', toString(i), 'message.type', 'RECEIVED')), range(event_count)),
    if(h1 % 10 = 0, [concat(id16, trace16)], []),
    if(h1 % 10 = 0, [trace16], []),
    if(h1 % 10 = 0, [map('link.reason', 'retry')], [])
FROM numbers({rows:UInt64});
