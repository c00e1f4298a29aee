-- Sample telemetry of one organization in the tables of the open core: `rows` of each kind.
-- Parameters: organization String, start DateTime64(9) in UTC, seconds UInt64, rows UInt64.

INSERT INTO logs
WITH
    cityHash64(number, {organization:String}, 'log') AS h,
    {start:DateTime64(9, 'UTC')} + toIntervalNanosecond(intDiv(number * {seconds:UInt64} * 1000000000, {rows:UInt64}) + h % 1000) AS time
SELECT
    time,
    time + toIntervalMillisecond(h % 50),
    lower(hex(h)),
    if(h % 5 = 0, '', lower(hex(cityHash64(h)))),
    [0, 1, 4294967295][h % 3 + 1],
    ['INFO', 'ERROR', ''][h % 3 + 1],
    [9, 17, 0][h % 3 + 1],
    concat('service-', toString(h % 4)),
    {organization:String},
    if(h % 2 = 0, '', 'workspace "1"'),
    if(h % 3 = 0, '', concat('tenant-', toString(h % 5))),
    ['', 'He said "it\'s 5 o\'clock";\n\ttab, comma \\', 'Grüße — 支払い完了 ✅'][h % 3 + 1],
    map('service.name', concat('service-', toString(h % 4))),
    'scope',
    '1.0',
    if(h % 4 = 0, map(), map('http.route', '/api/{id}', 'empty', ''))
FROM numbers({rows:UInt64});

INSERT INTO metrics
WITH
    cityHash64(number, {organization:String}, 'metric') AS h,
    {start:DateTime64(9, 'UTC')} + toIntervalNanosecond(intDiv(number * {seconds:UInt64} * 1000000000, {rows:UInt64}) + h % 1000) AS time
SELECT
    time,
    ['cpu.utilization', 'http.server.requests'][h % 2 + 1],
    ['gauge', 'counter', 'histogram', 'summary'][h % 4 + 1],
    (toFloat64(h % 2000000) - 500000) / 30000,
    concat('service-', toString(h % 4)),
    {organization:String},
    '',
    'tenant-1',
    map('service.name', concat('service-', toString(h % 4))),
    map('core', toString(h % 16)),
    ['%', '{request}'][h % 2 + 1]
FROM numbers({rows:UInt64});

INSERT INTO traces
WITH
    cityHash64(number, {organization:String}, 'span') AS h,
    {start:DateTime64(9, 'UTC')} + toIntervalNanosecond(intDiv(number * {seconds:UInt64} * 1000000000, {rows:UInt64}) + h % 1000) AS time
SELECT
    time,
    lower(hex(cityHash64(intDiv(number, 8)))),
    lower(hex(h)),
    if(number % 8 = 0, '', lower(hex(cityHash64(h)))),
    ['GET /api', 'SELECT "orders"'][h % 2 + 1],
    ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'][h % 5 + 1],
    concat('service-', toString(h % 4)),
    {organization:String},
    'workspace-1',
    '',
    if(number = 0, 18446744073709551615, h % 1000000000),
    ['UNSET', 'OK', 'ERROR'][h % 3 + 1],
    if(h % 3 = 2, 'upstream "payment" timed out', ''),
    map('service.name', concat('service-', toString(h % 4))),
    map('http.request.method', 'GET'),
    if(h % 2 = 0, '[]', '[{"name":"exception","timestamp":1767225600000000000,"attributes":{"k":"v"}}]'),
    if(h % 2 = 0, '', '[{"trace_id":"ab"}]')
FROM numbers({rows:UInt64});
