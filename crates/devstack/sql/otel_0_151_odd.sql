-- Rows of one organization with what only the tables from 0.151 on can hold; the exponential
-- histograms of otel_sample.sql go into the table that has another name.
-- Parameters: organization String, start DateTime64(9) in UTC, rows UInt64.

INSERT INTO otel_logs (Timestamp, ServiceName, Body, EventName, ResourceAttributes, LogAttributes)
SELECT
    {start:DateTime64(9, 'UTC')} + toIntervalSecond(number * 300),
    concat('service-', toString(number % 3)),
    'an event',
    ['device.app.lifecycle', '', 'Größe "geändert"'][number % 3 + 1],
    map('telemetryflow.organization.id', {organization:String}, 'k8s.pod.name', concat('pod-', toString(number))),
    if(number % 2 = 0, map(), map('', 'no key', 'key', ''))
FROM numbers(200);

INSERT INTO otel_metrics_exp_histogram SELECT * FROM otel_metrics_exponential_histogram;

TRUNCATE TABLE otel_metrics_exponential_histogram;

INSERT INTO otel_profiles
WITH cityHash64(number, {organization:String}, 'profile') AS h
SELECT
    {start:DateTime64(9, 'UTC')} + toIntervalMillisecond(number * 17),
    lower(hex(h)),
    ['cpu', 'alloc_space'][h % 2 + 1],
    ['nanoseconds', 'bytes'][h % 2 + 1],
    concat('service-', toString(h % 3)),
    map('telemetryflow.organization.id', {organization:String}, 'service.name', concat('service-', toString(h % 3))),
    'profiler "eBPF"',
    '',
    if(h % 2 = 0, map(), map('profile.kind', 'wall, cpu')),
    map('thread.name', ['main', 'Größe', ''][h % 3 + 1]),
    h,
    arrayMap(i -> cityHash64(h, i), range(h % 5)),
    arrayMap(i -> concat('fn<', toString(i), ', "x">'), range(h % 5)),
    arrayMap(i -> concat('/src/', toString(i), '.rs'), range(h % 5)),
    arrayMap(i -> '', range(h % 5)),
    arrayMap(i -> toInt32(i) - 2, range(h % 5)),
    [-9223372036854775808, toInt64(h % 1000)],
    [18446744073709551615, h],
    h % 1000000,
    -1,
    'cpu',
    'nanoseconds',
    if(h % 2 = 0, '', lower(hex(h))),
    ''
FROM numbers({rows:UInt64});
