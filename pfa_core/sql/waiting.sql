-- What a push would send, due or not: without dead letters, and without committed changes behind one of their user
-- that needs a decision.

-- name: waits
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND (m.state = 'committed' OR (m.state = 'sync_error' AND m.next_attempt_at IS NOT NULL))
  AND (%(session_id)s::text IS NULL OR m.session_id = %(session_id)s)
  AND (%(modification_ids)s::uuid[] IS NULL OR m.modification_id = ANY(%(modification_ids)s))
  AND NOT EXISTS (
      SELECT FROM pfa_modification AS w
      WHERE w.organization_id = %(organization_id)s
        AND w.pfa_id = m.pfa_id
        AND w.user_id = m.user_id
        AND w.state IN ('sync_error', 'conflict')
        AND w.next_attempt_at IS NULL
        AND (w.committed_at, w.modification_id) < (m.committed_at, m.modification_id)
      OFFSET 0)
ORDER BY m.committed_at, m.modification_id
LIMIT %(limit)s

-- name: in_order_of
SELECT m.modification_id::text, m.pfa_id, m.user_id, m.session_id, m.state, m.delta,
       m.change_reason, m.attempts, m.next_attempt_at
{waits}

-- name: in_order
-- The changes in the order in which they are sent.
-- from: in_order_of(waits = waits)

-- name: number_of
SELECT count(*) FROM ({changes}) AS w

-- name: number
-- How many those are.
-- from: number_of(changes = in_order)

-- name: by_record_of
SELECT w.modification_id::text, w.pfa_id, w.delta
FROM (
    SELECT m.modification_id, m.pfa_id, m.delta, m.committed_at
    {waits}
) AS w
ORDER BY w.pfa_id, w.committed_at, w.modification_id

-- name: by_record
-- The same by record, each record's in the order in which they are sent.
-- from: by_record_of(waits = waits)

-- name: records_of
SELECT count(DISTINCT t.pfa_id) FROM ({changes}) AS t

-- name: records
-- How many records those are of.
-- from: records_of(changes = by_record)
