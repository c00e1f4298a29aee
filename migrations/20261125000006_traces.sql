-- Where in a trace the job was requested, as a traceparent of W3C Trace Context: the worker goes on
-- with that trace. With the job, since the wake-up may be lost.
ALTER TABLE export_jobs
    ADD COLUMN trace_parent TEXT CHECK (char_length(trace_parent) = 55);
