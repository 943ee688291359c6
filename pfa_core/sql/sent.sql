-- The caller's changes that PEMS has taken, and what the mirror held before and after each.

-- name: of_session
-- Which of the caller's changes of a session PEMS has taken, in the order of their records.
SELECT modification_id::text, pfa_id
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND session_id = %(session_id)s
  AND state = 'synced'
ORDER BY pfa_id, synced_at, modification_id;

-- name: of_run
-- Which of the caller's changes PEMS took in a push.
SELECT DISTINCT m.modification_id::text, m.pfa_id
FROM pfa_sync_outcome AS o
JOIN pfa_modification AS m
  ON m.organization_id = %(organization_id)s AND m.modification_id = o.modification_id
WHERE o.organization_id = %(organization_id)s
  AND o.run_id = %(run_id)s
  AND o.outcome = 'synced'
  AND m.user_id = %(user_id)s
  AND m.state = 'synced'
ORDER BY m.pfa_id, 1;

-- name: of_records
-- Of these changes of the caller's the last of each record that PEMS has taken.
SELECT DISTINCT ON (pfa_id) modification_id::text, pfa_id
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s::uuid[])
  AND state = 'synced'
ORDER BY pfa_id, synced_at DESC, modification_id DESC;

-- name: waiting
-- How many of a session's changes PEMS does not have (yet).
SELECT count(*)
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND session_id = %(session_id)s
  AND state <> 'synced';

-- name: values
-- Of changes that PEMS took their fields' values before and after: those of the mirror's version that the push
-- replaced, and of the one after it. Where the push found the values in the mirror already, after a send whose answer
-- was lost for instance, the ones that they were first drafted over count as those before. In the order in which PEMS
-- took them, by record.
SELECT m.modification_id::text, m.pfa_id, m.session_id, m.synced_at, v.before, v.after
FROM pfa_modification AS m
JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = m.pfa_id
LEFT JOIN LATERAL (
    SELECT o.version, o.data, o.replaced_by_run
    FROM pfa_mirror_history AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.pfa_id = m.pfa_id
      AND o.replaced_at >= m.synced_at
    ORDER BY o.version
    LIMIT 1
) AS h ON true
LEFT JOIN pfa_mirror_history AS n
       ON n.organization_id = %(organization_id)s AND n.pfa_id = m.pfa_id AND n.version = h.version + 1
LEFT JOIN pfa_sync_log AS l
       ON l.organization_id = %(organization_id)s AND l.run_id = h.replaced_by_run
      AND l.direction = 'push' AND l.started_at <= m.synced_at
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(f.key, CASE
               WHEN l.run_id IS NOT NULL
                    AND coalesce(h.data -> f.key, 'null') <> coalesce(coalesce(n.data, r.data) -> f.key, 'null')
               THEN h.data -> f.key
               ELSE m.base -> f.key END) AS before,
           jsonb_object_agg(f.key, CASE
               WHEN l.run_id IS NOT NULL THEN coalesce(n.data, r.data) -> f.key
               ELSE coalesce(h.data, r.data) -> f.key END) AS after
    FROM jsonb_object_keys(m.delta) AS f (key)
) AS v
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
ORDER BY m.pfa_id, m.synced_at, m.modification_id;
