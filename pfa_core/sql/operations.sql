-- The caller's local operations, read from the trail: each is the entries of one link. What only an undo has is
-- looked up in a sub-select that begins with that, so that it is not for the others.

-- name: taking_back
-- Operations with the number of the one that each takes back, and of the one that that took back.
SELECT e.number, e.action, t.number, g.number
FROM ({found}) AS e
LEFT JOIN LATERAL (
    SELECT i.action, i.link_id, i.restores
    FROM audit_log AS i
    WHERE e.action = 'undo'
      AND i.organization_id = %(organization_id)s
      AND i.entry_id = e.restores
    OFFSET 0) AS a ON true
LEFT JOIN audit_link AS t ON t.organization_id = %(organization_id)s AND t.link_id = a.link_id
LEFT JOIN LATERAL (
    SELECT i.action, i.link_id, i.restores
    FROM audit_log AS i
    WHERE a.action = 'undo'
      AND i.organization_id = %(organization_id)s
      AND i.entry_id = a.restores
    OFFSET 0) AS b ON true
LEFT JOIN audit_link AS g ON g.organization_id = %(organization_id)s AND g.link_id = b.link_id

-- name: latest_entries
WITH RECURSIVE walk AS (
    (SELECT e.at, e.link_id, e.action, e.restores
     FROM audit_log AS e
     WHERE e.organization_id = %(organization_id)s
       AND e.user_id = %(user_id)s
     ORDER BY e.at DESC, e.link_id DESC
     LIMIT 1)
    UNION ALL
    SELECT n.at, n.link_id, n.action, n.restores
    FROM walk AS w
    CROSS JOIN LATERAL (
        SELECT e.at, e.link_id, e.action, e.restores
        FROM audit_log AS e
        WHERE e.organization_id = %(organization_id)s
          AND e.user_id = %(user_id)s
          AND (e.at, e.link_id) < (w.at, w.link_id)
        ORDER BY e.at DESC, e.link_id DESC
        LIMIT 1
    ) AS n
)
SELECT l.number, w.action, w.restores
FROM (SELECT * FROM walk WHERE action = ANY(%(actions)s) LIMIT %(limit)s) AS w
JOIN audit_link AS l ON l.organization_id = %(organization_id)s AND l.link_id = w.link_id

-- name: latest
-- An entry of each of the caller's latest operations, and what an undo takes back. Walks along the index by user and
-- time: one step for each instant of a link, however many entries that has.
-- from: taking_back(found = latest_entries)

-- name: entry_of_step
SELECT l.number, e.action, e.restores
FROM audit_link AS l
CROSS JOIN LATERAL (
    SELECT o.action, o.restores
    FROM audit_log AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.link_id = l.link_id
      AND o.user_id = %(user_id)s
      AND o.action = ANY(%(actions)s)
    LIMIT 1
) AS e
WHERE l.organization_id = %(organization_id)s
  AND l.number = %(number)s

-- name: step
-- The same of one operation, by its number.
-- from: taking_back(found = entry_of_step)

-- name: undone
-- Whether the operation of this number is taken back by an undo that is not.
SELECT EXISTS (
    SELECT FROM (
        SELECT e.entry_id
        FROM audit_link AS l
        JOIN audit_log AS e ON e.organization_id = %(organization_id)s AND e.link_id = l.link_id
        WHERE l.organization_id = %(organization_id)s
          AND l.number = %(number)s
          AND e.user_id = %(user_id)s
          AND e.pfa_id IS NOT NULL
        LIMIT 1
    ) AS e
    JOIN audit_log AS u ON u.organization_id = %(organization_id)s AND u.restores = e.entry_id
    WHERE u.user_id = %(user_id)s
      AND u.action = 'undo'
      AND NOT EXISTS (
          SELECT FROM audit_log AS r
          WHERE r.organization_id = %(organization_id)s
            AND r.restores = u.entry_id
            AND r.user_id = %(user_id)s
            AND r.action = 'undo'));

-- name: facts
-- When operations were done, and what became of how many records. Of a commit that lost fields to PEMS two entries
-- are about one record. sent: of how many of their modifications PEMS has or may have something. in_pems: the
-- sessions of those that it has taken. Each is looked up: joined, all changes of an organization could be read.
SELECT l.number, l.at,
       count(DISTINCT e.pfa_id) AS records,
       count(DISTINCT e.pfa_id) FILTER (WHERE e.before IS NULL) AS drafted,
       count(DISTINCT e.pfa_id) FILTER (WHERE e.before IS NOT NULL AND e.after IS NOT NULL) AS changed,
       count(DISTINCT e.pfa_id) FILTER (WHERE e.after IS NULL
                                        AND NOT coalesce(e.was ? 'part', false)) AS ended,
       (array_agg(DISTINCT e.session_id) FILTER (WHERE e.session_id IS NOT NULL))[1:3] AS sessions,
       min(e.pfa_id) AS pfa_id,
       count(DISTINCT m.modification_id) AS sent,
       (array_agg(DISTINCT m.session_id) FILTER (WHERE m.state = 'synced' AND m.session_id IS NOT NULL))[1:3]
           AS in_pems
FROM audit_link AS l
JOIN audit_log AS e ON e.organization_id = %(organization_id)s AND e.link_id = l.link_id
LEFT JOIN LATERAL (
    SELECT o.modification_id, o.session_id, o.state
    FROM pfa_modification AS o
    WHERE e.after IS NOT NULL
      AND o.organization_id = %(organization_id)s
      AND o.modification_id = e.modification_id
      AND CASE WHEN o.state = 'sync_error' THEN o.sent_version IS NOT NULL
               ELSE o.state NOT IN ('draft', 'committed')
                    OR o.attempts > 0 AND (o.state = 'committed' OR e.action = 'commit') END
    OFFSET 0) AS m ON true
WHERE l.organization_id = %(organization_id)s
  AND l.number = ANY(%(numbers)s)
  AND e.user_id = %(user_id)s
GROUP BY l.number, l.at;

-- name: entries
-- Which entries an operation wrote, in the order of their records.
SELECT e.entry_id::text, e.pfa_id
FROM audit_link AS l
JOIN audit_log AS e ON e.organization_id = %(organization_id)s AND e.link_id = l.link_id
WHERE l.organization_id = %(organization_id)s
  AND l.number = %(number)s
  AND e.user_id = %(user_id)s
  AND e.pfa_id IS NOT NULL
ORDER BY e.pfa_id, e.action, e.entry_id;

-- name: contents
-- What some of these entries keep, and when they were written, by the database's clock.
SELECT e.entry_id::text, e.action, e.pfa_id, e.modification_id::text, e.session_id, e.before, e.after,
       e.base, e.was, e.reason, l.at
FROM audit_log AS e
JOIN audit_link AS l ON l.organization_id = %(organization_id)s AND l.link_id = e.link_id
WHERE e.organization_id = %(organization_id)s
  AND e.user_id = %(user_id)s
  AND e.entry_id = ANY(%(entry_ids)s::uuid[])
ORDER BY e.pfa_id, e.action, e.entry_id;

-- name: later
-- The caller's operations on some records after a place in the chain, in order.
SELECT e.pfa_id, l.number, e.action, t.number, g.number
FROM audit_log AS e
JOIN audit_link AS l ON l.organization_id = %(organization_id)s AND l.link_id = e.link_id
LEFT JOIN LATERAL (
    SELECT i.action, i.link_id, i.restores
    FROM audit_log AS i
    WHERE e.action = 'undo'
      AND i.organization_id = %(organization_id)s
      AND i.entry_id = e.restores
    OFFSET 0) AS a ON true
LEFT JOIN audit_link AS t ON t.organization_id = %(organization_id)s AND t.link_id = a.link_id
LEFT JOIN LATERAL (
    SELECT i.action, i.link_id, i.restores
    FROM audit_log AS i
    WHERE a.action = 'undo'
      AND i.organization_id = %(organization_id)s
      AND i.entry_id = a.restores
    OFFSET 0) AS b ON true
LEFT JOIN audit_link AS g ON g.organization_id = %(organization_id)s AND g.link_id = b.link_id
WHERE e.organization_id = %(organization_id)s
  AND e.user_id = %(user_id)s
  AND e.pfa_id = ANY(%(ids)s)
  AND e.action = ANY(%(actions)s)
  AND l.number > %(number)s
ORDER BY e.pfa_id, l.number;

-- name: rows
-- The caller's active modifications of some records, locked, with what an entry keeps of them; the draft last.
SELECT modification_id::text, pfa_id, session_id, state, delta, base, base_version, version, change_reason,
       attempts, sent_version IS NOT NULL AS sent,
       jsonb_build_object(
           'state', CASE WHEN next_attempt_at IS NULL THEN state ELSE 'committed' END,
           'version', version, 'generation', generation, 'session_id', session_id,
           'change_reason', change_reason, 'base_version', base_version, 'created_at', created_at,
           'committed_at', committed_at, 'attempts', attempts, 'failures', failures,
           'first_attempt_at', first_attempt_at, 'sync_error', sync_error) AS was
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND pfa_id = ANY(%(ids)s)
  AND state <> 'synced'
ORDER BY pfa_id, state = 'draft', committed_at, modification_id
FOR UPDATE;

-- name: synced
-- Which of these modifications of the caller's PEMS has taken.
SELECT modification_id::text
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s::uuid[])
  AND state = 'synced';

-- name: insert_again
-- by: save_draft, commit
-- deltas: %(drafts)s
-- trail: write modification_id
-- Drafts that were deleted, under their ids. The version rises above the last one: a key of idempotency that it was
-- ever sent under is never used again.
INSERT INTO pfa_modification (
    organization_id, modification_id, pfa_id, user_id, session_id, state, delta, base,
    base_version, version, generation, change_reason, created_at, updated_at)
SELECT %(organization_id)s, d.modification_id, d.pfa_id, %(user_id)s, d.session_id, 'draft',
       d.delta, d.base, d.base_version, least(greatest(d.version, 0) + 1, 2000000000),
       least(greatest(d.generation, 0), 1000000), d.change_reason, least(d.created_at, %(at)s), %(at)s
FROM jsonb_to_recordset(%(drafts)s) AS d (
    modification_id uuid, pfa_id text, session_id text, delta jsonb, base jsonb,
    base_version integer, version integer, generation integer, change_reason text, created_at timestamptz)
ORDER BY d.pfa_id
RETURNING modification_id;

-- name: rewrite_drafts
-- by: save_draft, commit
-- deltas: %(drafts)s
-- trail: write m.modification_id
-- The whole of a draft, over the version that was read.
UPDATE pfa_modification AS m
SET delta = d.delta,
    base = d.base,
    session_id = d.session_id,
    change_reason = d.change_reason,
    version = least(m.version + 1, 2000000000),
    updated_at = %(at)s
FROM jsonb_to_recordset(%(drafts)s) AS d (
    modification_id uuid, session_id text, delta jsonb, base jsonb, change_reason text,
    version integer)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
  AND m.modification_id = d.modification_id
  AND m.user_id = %(user_id)s
  AND m.state = 'draft'
  AND m.version = d.version;

-- name: recommit
-- by: commit
-- deltas: %(drafts)s
-- trail: commit m.modification_id
-- Drafts that are again what they were before they were drafts: committed at that time, or rejected for good.
UPDATE pfa_modification AS m
SET state = CASE WHEN d.state = 'sync_error' THEN 'sync_error' ELSE 'committed' END,
    delta = d.delta,
    version = least(m.version + 1, 2000000000),
    committed_at = least(d.committed_at, %(at)s),
    updated_at = %(at)s,
    attempts = CASE WHEN d.state = 'sync_error' THEN least(greatest(d.attempts, 0), 1000000) ELSE 0 END,
    failures = least(greatest(d.failures, 0), 1000000),
    first_attempt_at = d.first_attempt_at,
    sync_error = CASE WHEN d.state = 'sync_error' THEN left(d.sync_error, 100000) END
FROM jsonb_to_recordset(%(drafts)s) AS d (
    modification_id uuid, state text, delta jsonb, committed_at timestamptz, attempts integer,
    failures integer, first_attempt_at timestamptz, sync_error text, version integer)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
  AND m.modification_id = d.modification_id
  AND m.user_id = %(user_id)s
  AND m.state = 'draft'
  AND m.version = d.version;
