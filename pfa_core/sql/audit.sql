-- The audit trail: written by the transaction that changes the data, never changed after.

-- name: write
INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, modification_id,
                       session_id, run_id, before, after, reason)
SELECT %(organization_id)s, e.entry_id, %(at)s, %(user_id)s, %(action)s, e.pfa_id,
       e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason
FROM jsonb_to_recordset(%(entries)s) AS e (
    entry_id uuid, pfa_id text, modification_id uuid, session_id text, run_id uuid,
    before jsonb, after jsonb, reason text
)
RETURNING entry_id;

-- name: write_of
-- Of modifications as they are now: what they say, before it and after it. OFFSET 0 keeps it one look-up
-- each, whatever the planner believes of the table.
INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, modification_id,
                       session_id, run_id, before, after, reason)
SELECT %(organization_id)s, e.entry_id, %(at)s, %(user_id)s, %(action)s, m.pfa_id,
       m.modification_id, m.session_id, NULL, CASE WHEN %(before)s THEN m.delta END,
       CASE WHEN %(after)s THEN m.delta END, m.change_reason
FROM unnest(%(entry_ids)s::uuid[], %(modification_ids)s::uuid[]) AS e (entry_id, modification_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM pfa_modification
    WHERE organization_id = %(organization_id)s
      AND modification_id = e.modification_id
    OFFSET 0
) AS m
RETURNING entry_id;

-- name: list
-- Newest first.
SELECT entry_id::text, at, user_id, action, pfa_id, session_id, run_id::text,
       before, after, reason
FROM audit_log
WHERE organization_id = %(organization_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND (%(pfa_id)s::text IS NULL OR pfa_id = %(pfa_id)s)
  AND (%(session_id)s::text IS NULL OR session_id = %(session_id)s)
ORDER BY entry_id DESC
LIMIT %(limit)s;

-- name: was_discarded
SELECT EXISTS (
    SELECT FROM audit_log
    WHERE organization_id = %(organization_id)s
      AND user_id = %(user_id)s
      AND session_id = %(session_id)s
      AND action = 'discard'
);
