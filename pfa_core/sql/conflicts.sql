-- Conflicts: committed changes whose fields PEMS changed too, and how they were resolved. A push opens
-- them; their owner, or a user who manages users, resolves them. The owner's membership row is locked before
-- (members.member_locked).

-- name: insert
-- by: sync
-- unless: pfa_disputes_others(%(organization_id)s, %(conflicts)s)
-- One open conflict per modification: disputed again, it is the same one with other values.
INSERT INTO pfa_sync_conflict (
    organization_id, conflict_id, modification_id, pfa_id, user_id, fields, status, created_at)
SELECT %(organization_id)s, n.conflict_id, n.modification_id, n.pfa_id, n.user_id, n.fields,
       'unresolved', %(at)s
FROM jsonb_to_recordset(%(conflicts)s) AS n (
    conflict_id uuid, modification_id uuid, pfa_id text, user_id text, fields jsonb)
ORDER BY n.pfa_id, n.modification_id
ON CONFLICT (organization_id, modification_id) WHERE status = 'unresolved' DO UPDATE
SET fields = EXCLUDED.fields;

-- name: find
-- One user's conflicts, with what is left of the modification. A text names a
-- conflict by its id or by its record.
SELECT c.conflict_id::text, c.modification_id::text, c.pfa_id, c.user_id, c.fields, c.status,
       c.resolution, c.settlement, c.created_at, c.resolved_at, c.resolved_by,
       m.state, m.session_id, m.change_reason, m.delta, m.base
FROM pfa_sync_conflict AS c
LEFT JOIN pfa_modification AS m
       ON m.organization_id = %(organization_id)s
      AND m.modification_id = c.modification_id
WHERE c.organization_id = %(organization_id)s
  AND c.user_id = %(user_id)s
  AND (%(status)s::text IS NULL OR c.status = %(status)s)
  AND (%(names)s::text[] IS NULL
       OR c.conflict_id::text = ANY(%(names)s)
       OR c.pfa_id = ANY(%(names)s))
ORDER BY {order}
LIMIT %(limit)s

-- name: hold
-- The conflicts, locked against another resolution until the transaction ends.
SELECT conflict_id
FROM pfa_sync_conflict
WHERE organization_id = %(organization_id)s
  AND conflict_id = ANY(%(conflict_ids)s::uuid[])
ORDER BY conflict_id
FOR UPDATE;

-- name: resolve
-- by: commit, manage_users; admins
-- trail: resolve c.modification_id
UPDATE pfa_sync_conflict AS c
SET status = 'resolved',
    resolution = r.resolution,
    settlement = r.settlement,
    resolved_at = %(at)s,
    resolved_by = %(resolved_by)s
FROM jsonb_to_recordset(%(resolutions)s) AS r (
    conflict_id uuid, resolution text, settlement jsonb)
WHERE c.organization_id = %(organization_id)s
  AND c.conflict_id = r.conflict_id
  AND c.user_id = %(user_id)s
  AND c.status = 'unresolved';

-- name: refresh
-- by: commit, manage_users; admins
-- unless: pfa_refreshes_wrongly(%(organization_id)s, %(refreshed)s)
-- What PEMS holds by now; a conflict that was settled meanwhile stays as it is.
UPDATE pfa_sync_conflict AS c
SET fields = r.fields
FROM jsonb_to_recordset(%(refreshed)s) AS r (conflict_id uuid, fields jsonb)
WHERE c.organization_id = %(organization_id)s
  AND c.conflict_id = r.conflict_id
  AND c.user_id = %(user_id)s
  AND c.status = 'unresolved';

-- name: recommit
-- by: commit, manage_users; admins
-- deltas: %(modifications)s
-- trail: resolve m.modification_id
-- unless: pfa_recommits_wrongly(%(organization_id)s, %(modifications)s)
-- What is left waits for the next push as if it had never been sent, in its old place of the queue.
UPDATE pfa_modification AS m
SET state = 'committed',
    delta = d.delta,
    base = d.base,
    base_version = d.base_version,
    version = least(m.version + 1, 2000000000),
    generation = 0,
    attempts = 0,
    failures = 0,
    sent_version = NULL,
    sent_fields = NULL,
    first_attempt_at = NULL,
    next_attempt_at = NULL,
    sync_error = NULL,
    updated_at = %(at)s
FROM jsonb_to_recordset(%(modifications)s) AS d (
    modification_id uuid, version integer, delta jsonb, base jsonb, base_version integer)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = d.modification_id
  AND m.user_id = %(user_id)s
  AND m.state = 'conflict'
  AND m.version = d.version;

-- name: drop
-- by: commit, manage_users; admins
-- trail: resolve m.modification_id
-- Nothing of the modification is left: PEMS's values are kept.
DELETE FROM pfa_modification AS m
USING jsonb_to_recordset(%(modifications)s) AS d (modification_id uuid, version integer)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = d.modification_id
  AND m.user_id = %(user_id)s
  AND m.state = 'conflict'
  AND m.version = d.version;
