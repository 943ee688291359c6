-- The metrics of an organization: counts and times only, no content of a record.
-- Runs that have not ended are not counted, so that counters only grow.

-- name: records
SELECT count(*), count(missing_since)
FROM pfa_mirror
WHERE organization_id = %(organization_id)s;

-- name: modifications
-- A state without any has no row.
SELECT state, count(*)
FROM pfa_modification
WHERE organization_id = %(organization_id)s
GROUP BY state;

-- name: modifications@rls
SELECT state, number FROM pfa_modification_counts();

-- name: waiting
-- Dead letters, and since when the oldest other change waits; null: no other committed change. One in state
-- syncing counts as waiting: a killed pusher leaves it so.
SELECT count(*) FILTER (WHERE state = 'sync_error' AND next_attempt_at IS NULL) AS dead_letters,
       min(committed_at) FILTER (WHERE state <> 'sync_error' OR next_attempt_at IS NOT NULL) AS oldest
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND state IN ('committed', 'syncing', 'sync_error');

-- name: waiting@rls
SELECT dead_letters, oldest FROM pfa_waiting_counts();

-- name: conflicts
SELECT count(*)
FROM pfa_sync_conflict
WHERE organization_id = %(organization_id)s
  AND status = 'unresolved';

-- name: conflicts@rls
SELECT pfa_conflict_count();

-- name: baseline
-- When the last complete pull began, or the interrupted one that it continued: what PEMS had then is
-- in the mirror. No row: no pull was complete.
SELECT CASE WHEN kind = 'full' THEN least(since, started_at) ELSE started_at END
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND direction = 'pull'
  AND kind IN ('full', 'incremental')
  AND status = 'completed'
  AND started_at <= clock_timestamp()
ORDER BY started_at DESC
LIMIT 1;

-- name: runs
SELECT direction, status, count(*) AS number, max(finished_at) AS last_at
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND status <> 'running'
GROUP BY direction, status
ORDER BY direction, status;

-- name: durations
-- Seconds of the last run of each direction.
SELECT DISTINCT ON (direction) direction, extract(epoch FROM finished_at - started_at)::double precision
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND status <> 'running'
  AND isfinite(finished_at)
  AND isfinite(started_at)
ORDER BY direction, finished_at DESC, run_id DESC;

-- name: run_records
SELECT r.direction, c.key, sum(c.value::numeric)
FROM pfa_sync_log AS r
CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(r.counts) = 'object' THEN r.counts ELSE '{}' END)
    AS c (key, value)
WHERE r.organization_id = %(organization_id)s
  AND r.status <> 'running'
  AND jsonb_typeof(c.value) = 'number'
GROUP BY r.direction, c.key
ORDER BY r.direction, c.key COLLATE "C";

-- name: leases
SELECT name
FROM pfa_lease
WHERE organization_id = %(organization_id)s
  AND expires_at > %(at)s;
