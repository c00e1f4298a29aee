-- Claims are shared out among organizations.

-- The jobs of each organization that may be claimed, longest due first. A claim steps from the first
-- of an organization to the first of the next, however many each of them has.
DROP INDEX export_jobs_due;
CREATE INDEX export_jobs_due ON export_jobs (organization_id, COALESCE(lease_until, run_after))
    WHERE status IN ('PENDING', 'PROCESSING');

-- The jobs that workers have, to be counted by organization.
CREATE INDEX export_jobs_running ON export_jobs (organization_id) WHERE status = 'PROCESSING';

-- When a job of an organization was last begun.
CREATE INDEX export_jobs_started ON export_jobs (organization_id, started_at)
    WHERE started_at IS NOT NULL;
