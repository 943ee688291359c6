-- The changes of a member whose membership ends: what waits to be sent becomes a draft again.

-- name: waiting
-- The member's changes that wait to be sent and were not, locked against a push's claim.
SELECT m.pfa_id
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.state IN ('committed', 'sync_error')
  AND m.sent_version IS NULL
  AND pfa_is_delta(m.delta)
ORDER BY m.pfa_id, m.modification_id
FOR UPDATE;

-- name: withdraw
-- Of each record the latest of these changes, or the draft over them, becomes the one draft: it takes the values of
-- the others, which are deleted. A value is based on what its field was first drafted over.
WITH waiting AS (
    SELECT m.modification_id, m.pfa_id, m.state, m.committed_at, m.delta, m.base
    FROM pfa_modification AS m
    WHERE m.organization_id = %(organization_id)s
      AND m.user_id = %(user_id)s
      AND m.state IN ('draft', 'committed', 'sync_error')
      AND m.sent_version IS NULL
      AND pfa_is_delta(m.delta)
), folded AS (
    SELECT w.pfa_id,
           (array_agg(w.modification_id
               ORDER BY w.state = 'draft' DESC, w.committed_at DESC, w.modification_id DESC))[1] AS kept,
           jsonb_object_agg(f.key, f.value
               ORDER BY w.state = 'draft', w.committed_at, w.modification_id) AS delta,
           coalesce(jsonb_object_agg(f.key, w.base -> f.key
               ORDER BY w.state = 'draft' DESC, w.committed_at DESC, w.modification_id DESC)
               FILTER (WHERE w.base ? f.key), '{}') AS base
    FROM waiting AS w
    CROSS JOIN LATERAL jsonb_each(w.delta) AS f (key, value)
    GROUP BY w.pfa_id
    HAVING bool_or(w.state <> 'draft')
), dropped AS (
    DELETE FROM pfa_modification AS m
    USING waiting AS w
    JOIN folded AS f ON f.pfa_id = w.pfa_id
    WHERE m.organization_id = %(organization_id)s
      AND m.user_id = %(user_id)s
      AND m.modification_id = w.modification_id
      AND m.modification_id <> f.kept
      AND m.state IN ('draft', 'committed', 'sync_error')
)
UPDATE pfa_modification AS m
SET state = 'draft',
    delta = f.delta,
    base = f.base,
    version = least(m.version + 1, 2000000000),
    committed_at = NULL,
    updated_at = %(at)s,
    attempts = 0,
    failures = 0,
    first_attempt_at = NULL,
    next_attempt_at = NULL,
    sync_error = NULL
FROM folded AS f
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.modification_id = f.kept
  AND m.state IN ('draft', 'committed', 'sync_error');

-- name: withdraw@rls
SELECT pfa_withdraw_changes(%(user_id)s, %(at)s);
