-- Runs and what they did with single records.

-- name: finish
INSERT INTO pfa_sync_log (organization_id, run_id, direction, source, status, user_id,
                          started_at, finished_at, counts, message)
VALUES (%(organization_id)s, %(run_id)s, %(direction)s, %(source)s, %(status)s, %(user_id)s,
        %(started_at)s, %(finished_at)s, %(counts)s, %(message)s)
ON CONFLICT (organization_id, run_id) DO UPDATE
SET status = EXCLUDED.status,
    finished_at = EXCLUDED.finished_at,
    counts = EXCLUDED.counts,
    message = EXCLUDED.message;

-- name: outcomes
INSERT INTO pfa_sync_outcome (organization_id, run_id, outcome_id, number, pfa_id, position, outcome,
                              code, message, at)
SELECT %(organization_id)s, %(run_id)s, o.outcome_id, o.number, o.pfa_id, o.position, o.outcome, o.code,
       o.message, %(at)s
FROM jsonb_to_recordset(%(outcomes)s) AS o (
    outcome_id uuid, number integer, pfa_id text, position text, outcome text, code text, message text)
ON CONFLICT DO NOTHING;

-- name: list
SELECT run_id::text, direction, source, status, user_id, started_at, finished_at, counts, message
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
ORDER BY started_at DESC, run_id DESC
LIMIT %(limit)s;

-- name: one
-- No row: there is no such run.
SELECT run_id::text, direction, source, status, user_id, started_at, finished_at, counts, message
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s;

-- name: of_run
SELECT pfa_id, position, outcome, code, message, at
FROM pfa_sync_outcome
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s
ORDER BY number, outcome_id;

-- name: last_pull
SELECT finished_at
FROM pfa_sync_log
WHERE organization_id = %(organization_id)s
  AND direction = 'pull'
  AND status IN ('completed', 'partial')
ORDER BY started_at DESC
LIMIT 1;
