-- Rows of one organization with what only JSON attributes can hold.
-- Parameters: organization String, start DateTime64(9) in UTC.

INSERT INTO otel_logs (Timestamp, Body, EventName, ResourceAttributes, ScopeAttributes, LogAttributes)
SELECT
    {start:DateTime64(9, 'UTC')} + INTERVAL number MINUTE,
    toString(number),
    'odd',
    concat('{"telemetryflow.organization.id":"', {organization:String}, '"}')::JSON,
    '{}'::JSON,
    [
        '{}',
        '{"http.route":"/a","http":{"status":200,"ok":true,"ratio":0.5}}',
        '{"text":"200","number":200,"big":18446744073709551615,"small":-9223372036854775808,"float":-0.125}',
        '{"list":[1,2.5,"x",{"k":"/"},[true]],"texts":["a","/b"],"empty":[]}',
        '{"quote":"say \\"hi\\"","path":"C:\\\\x","line":"a\\nb","umlaut":"Größe ✅","":"no key","sp ace":"x","back`tick":"y"}',
        '{"deep":{"er":{"and.deeper":{"x":"y"}}},"none":null}'
    ][number + 1]::JSON
FROM numbers(6);

INSERT INTO otel_logs (Timestamp, Body, ResourceAttributes, LogAttributes)
SELECT
    {start:DateTime64(9, 'UTC')} + INTERVAL 1 HOUR,
    'nested by the writer',
    concat('{"telemetryflow":{"organization":{"id":"', {organization:String}, '"}}}')::JSON,
    '{"http":{"route":"/nested"}}'::JSON;

INSERT INTO otel_logs (Timestamp, Body, ResourceAttributes, LogAttributes)
SETTINGS json_type_escape_dots_in_keys = 1
SELECT
    {start:DateTime64(9, 'UTC')} + INTERVAL 2 HOUR,
    'dots escaped by the writer',
    concat('{"telemetryflow.organization.id":"', {organization:String}, '"}')::JSON,
    '{"http.route":"/escaped"}'::JSON;

INSERT INTO otel_traces (Timestamp, SpanName, ResourceAttributes, SpanAttributes, Events.Timestamp, Events.Name, Events.Attributes)
SELECT
    {start:DateTime64(9, 'UTC')} + INTERVAL number MINUTE,
    'odd',
    concat('{"telemetryflow.organization.id":"', {organization:String}, '"}')::JSON,
    '{"retries":3,"hosts":["a","b"]}'::JSON,
    [{start:DateTime64(9, 'UTC')}, {start:DateTime64(9, 'UTC')}],
    ['one', 'two'],
    ['{"code":7,"ok":false}'::JSON, '{}'::JSON]
FROM numbers(3);
