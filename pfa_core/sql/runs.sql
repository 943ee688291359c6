-- Runs and what they did with single records. A run that lies in the future says nothing about the past: where the
-- last one is looked for, it is passed over.

-- name: put
-- by: sync, refresh_data, import
-- trail: run run_id
-- unless: NOT pfa_may_run(%(direction)s)
-- unless: pfa_is_run_of_another(%(organization_id)s, %(run_id)s)
INSERT INTO pfa_sync_log (organization_id, run_id, direction, kind, since, source, status, user_id,
                          started_at, finished_at, counts, message)
VALUES (%(organization_id)s, %(run_id)s, %(direction)s, %(kind)s, %(since)s, %(source)s, %(status)s,
        %(user_id)s, %(started_at)s, %(finished_at)s, %(counts)s, left(%(message)s, 100000))
ON CONFLICT (organization_id, run_id) DO UPDATE
SET status = EXCLUDED.status,
    since = EXCLUDED.since,
    finished_at = EXCLUDED.finished_at,
    counts = EXCLUDED.counts,
    message = EXCLUDED.message;

-- name: put_since
-- by: sync, refresh_data, import
-- unless: pfa_is_run_of_another(%(organization_id)s, %(run_id)s)
UPDATE pfa_sync_log
SET since = %(since)s
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s
  AND status = 'running';

-- name: progress
-- by: sync, refresh_data, import
-- unless: pfa_is_run_of_another(%(organization_id)s, %(run_id)s)
UPDATE pfa_sync_log
SET counts = %(counts)s
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s
  AND status = 'running';

-- name: mark_abandoned
-- by: sync, refresh_data, import
-- returns: run_id text
-- trail: run run_id
-- unless: NOT pfa_may_run(%(direction)s)
-- unless: NOT pfa_holds_lease(%(organization_id)s, %(direction)s, %(run_id)s)
-- Runs of the direction that are still marked running while another one holds the lease: they were killed.
UPDATE pfa_sync_log
SET status = 'failed',
    finished_at = %(at)s,
    message = %(message)s
WHERE organization_id = %(organization_id)s
  AND direction = %(direction)s
  AND status = 'running'
  AND run_id <> %(run_id)s
RETURNING run_id::text;

-- name: outcomes
-- by: sync, refresh_data, import
-- unless: pfa_is_run_of_another(%(organization_id)s, %(run_id)s)
INSERT INTO pfa_sync_outcome (organization_id, run_id, outcome_id, number, pfa_id, modification_id,
                              attempt, position, outcome, code, message, at)
SELECT %(organization_id)s, %(run_id)s, o.outcome_id, o.number, left(o.pfa_id, 10000), o.modification_id,
       o.attempt, left(o.position, 100000), o.outcome, o.code, left(o.message, 100000), %(at)s
FROM jsonb_to_recordset(%(outcomes)s) AS o (
    outcome_id uuid, number integer, pfa_id text, modification_id uuid, attempt integer,
    position text, outcome text, code text, message text)
ON CONFLICT DO NOTHING;

-- name: list
-- As people see them: one that is marked running without a lease in force was killed.
SELECT l.run_id::text, l.direction, l.source, CASE WHEN d.is_dead THEN 'failed' ELSE l.status END AS status,
       l.user_id, l.started_at, l.finished_at, l.counts,
       CASE WHEN d.is_dead THEN %(abandoned)s ELSE l.message END AS message, l.kind, l.since
FROM pfa_sync_log AS l
CROSS JOIN LATERAL (
    SELECT l.status = 'running' AND NOT EXISTS (
        SELECT FROM pfa_lease AS h
        WHERE h.organization_id = %(organization_id)s
          AND h.name = l.direction
          AND h.owner_id = l.run_id
          AND h.expires_at > clock_timestamp()) AS is_dead) AS d
WHERE l.organization_id = %(organization_id)s
  {which}
ORDER BY {order}
LIMIT %(limit)s

-- name: which_run
AND l.run_id = %(run_id)s

-- name: one
-- No row: there is no such run.
SELECT run_id::text, direction, source, status, user_id, started_at, finished_at, counts, message,
       kind, since
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s;

-- name: of_run
SELECT pfa_id, position, outcome, code, message, at, modification_id::text, attempt
FROM pfa_sync_outcome
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s
ORDER BY {order}
LIMIT %(limit)s

-- name: last_pull
-- One that asked for what changed since a given time may leave a gap before it.
SELECT finished_at
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND direction = 'pull'
  AND kind IN ('full', 'incremental')
  AND status = 'completed'
  AND started_at <= clock_timestamp()
ORDER BY started_at DESC
LIMIT 1;

-- name: unfinished
-- When the last full pull from PEMS ended, where that was before its last page and the next one can resume it. No
-- row: it was complete, it is at work, or there was none.
SELECT coalesce(l.finished_at, l.started_at)
FROM (
    SELECT run_id, status, started_at, finished_at
    FROM pfa_sync_log
    WHERE organization_id = %(organization_id)s
      AND direction = 'pull'
      AND kind = 'full'
      AND position('://' IN source) > 0
      AND started_at <= clock_timestamp()
    ORDER BY started_at DESC
    LIMIT 1) AS l
WHERE l.status <> 'completed'
  AND EXISTS (
      SELECT FROM pfa_pull_page AS p
      WHERE p.organization_id = %(organization_id)s
        AND p.run_id = l.run_id)
  AND NOT EXISTS (
      SELECT FROM pfa_lease AS h
      WHERE h.organization_id = %(organization_id)s
        AND h.name = 'pull'
        AND h.owner_id = l.run_id
        AND h.expires_at > clock_timestamp());

-- name: put_behind
-- by: sync, refresh_data, import
-- unless: pfa_is_run_of_another(%(organization_id)s, %(run_id)s)
UPDATE pfa_sync_log
SET behind = %(behind)s,
    behind_since = %(behind_since)s
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s;

-- name: behind
-- What the last complete pull from PEMS refused. The source of a pull from files is a name without "://".
SELECT behind, behind_since, run_id::text
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND direction = 'pull'
  AND kind IN ('full', 'incremental')
  AND status = 'completed'
  AND position('://' IN source) > 0
  AND started_at <= clock_timestamp()
ORDER BY started_at DESC
LIMIT 1;

-- name: last_from_pems
-- From when on the next pull from this PEMS has to ask: since the last complete one began, or the interrupted
-- one that it continued, or since the earliest change of a record that it refused; null: that is unknown. No
-- row: no pull was complete.
SELECT CASE WHEN behind > 0 AND behind_since IS NULL THEN NULL
            ELSE least(behind_since,
                       CASE WHEN kind = 'full' THEN least(since, started_at) ELSE started_at END)
       END
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND direction = 'pull'
  AND source = %(source)s
  AND kind IN ('full', 'incremental')
  AND status = 'completed'
  AND started_at <= clock_timestamp()
ORDER BY started_at DESC
LIMIT 1;

-- name: cut_off
-- The last interrupted full pull from this PEMS, when it began, or the one that it continued, and what it
-- refused.
SELECT run_id::text, least(since, started_at), behind, behind_since
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND direction = 'pull'
  AND source = %(source)s
  AND kind = 'full'
  AND status IN ('partial', 'failed', 'cancelled')
  AND least(since, started_at) > %(after)s
  AND started_at <= clock_timestamp()
ORDER BY started_at DESC
LIMIT 1;
