-- Every index besides those of keys. `migrate` builds the missing ones after the migrations, one at a
-- time and CONCURRENTLY, so that work goes on meanwhile.

-- The jobs of each organization that may be claimed, longest due first: lease_until is there exactly
-- while a worker has the job, run_after counts while none has. A claim steps from the first of an
-- organization to the first of the next, however many each of them has.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_due ON export_jobs (organization_id, COALESCE(lease_until, run_after))
    WHERE status IN ('PENDING', 'PROCESSING');

-- The jobs that workers have, to be counted by organization.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_running ON export_jobs (organization_id) WHERE status = 'PROCESSING';

-- When a job of an organization was last begun.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_started ON export_jobs (organization_id, started_at)
    WHERE started_at IS NOT NULL;

-- A user's jobs within an organization, newest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_own
    ON export_jobs (organization_id, user_id, created_at DESC, job_id DESC);

-- An organization's jobs, newest first, as its admins list them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_listing ON export_jobs (organization_id, created_at DESC, job_id DESC);

-- The exports of a kind that have made a file, of an organization and of all, latest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_made_for_organization
    ON export_jobs (organization_id, data_type, format, compression, completed_at DESC)
    WHERE status IN ('COMPLETED', 'EXPIRED');
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_made
    ON export_jobs (data_type, format, compression, completed_at DESC)
    WHERE status IN ('COMPLETED', 'EXPIRED');

-- The files whose time is over, longest first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_expiring ON export_jobs (expires_at) WHERE status = 'COMPLETED';

-- Each run of a schedule makes one job, however many workers see it.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS export_jobs_run ON export_jobs (schedule_id, scheduled_for)
    WHERE schedule_id IS NOT NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS export_events_job ON export_events (job_id, event_id);

CREATE INDEX CONCURRENTLY IF NOT EXISTS export_notifications_due
    ON export_notifications (channel, COALESCE(lease_until, run_after)) WHERE status = 'PENDING';

CREATE INDEX CONCURRENTLY IF NOT EXISTS export_links_job ON export_links (job_id);

CREATE INDEX CONCURRENTLY IF NOT EXISTS export_idempotency_keys_age ON export_idempotency_keys (created_at);

CREATE INDEX CONCURRENTLY IF NOT EXISTS export_removals_due ON export_removals (run_after, removal_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_removals_key ON export_removals (object_key);

CREATE INDEX CONCURRENTLY IF NOT EXISTS export_schedules_due ON export_schedules (next_run_at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS export_schedules_listing ON export_schedules (organization_id, created_at, schedule_id);
