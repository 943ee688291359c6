-- Overlay rows: each record as one user sees it, where they changed it.

-- name: hold_mirror, hold_mirror@one
-- An overlay row is made of its mirror row, which must not change under it until the transaction
-- ends: a pull in between would be overwritten with what it replaced.
SELECT pfa_id
FROM pfa_mirror
WHERE organization_id = %(organization_id)s
  AND pfa_id = ANY(%(ids)s)
ORDER BY pfa_id
FOR SHARE;

-- name: overlaid, overlaid@one
-- Of these records, those that the caller has an active modification of. One that holds no delta has no part in an
-- overlay.
SELECT DISTINCT m.pfa_id
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.pfa_id = ANY(%(ids)s)
  AND m.state <> 'synced'
  AND pfa_is_delta(m.delta);

-- name: rebuild_under_rls
-- Overlay rows of these pairs of user and record: deleted, or built anew.
SELECT pfa_rebuild_overlays(%(users)s, %(ids)s);

-- name: drop_overlays, drop_overlays@one
-- by: save_draft, commit, manage_users, manage_settings; admins
DELETE FROM pfa_overlay
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND pfa_id = ANY(%(ids)s);

-- name: overlay_rows, overlay_rows@one
-- What the caller's overlay rows of some records should be. The stacked delta: of the values that several
-- modifications give a field, the last one counts. All of them are read at once: asked for record by record,
-- a planner whose statistics lack the caller reads all of the caller's rows for each of them.
SELECT %(organization_id)s AS organization_id, %(user_id)s AS user_id, s.pfa_id, s.delta,
       r.data || s.delta AS data, s.modification_id
FROM (
    SELECT m.pfa_id,
           jsonb_object_agg(f.key, f.value
               ORDER BY m.state = 'draft', m.committed_at, m.modification_id) AS delta,
           (array_agg(m.modification_id
               ORDER BY m.state = 'draft' DESC, m.committed_at DESC, m.modification_id DESC))[1]
               AS modification_id
    FROM pfa_modification AS m
    CROSS JOIN LATERAL jsonb_each(CASE WHEN pfa_is_delta(m.delta) THEN m.delta ELSE '{}' END)
        AS f (key, value)
    WHERE m.organization_id = %(organization_id)s
      AND m.user_id = %(user_id)s
      AND m.pfa_id = ANY(%(ids)s)
      AND m.state <> 'synced'
    GROUP BY m.pfa_id
) AS s
JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = s.pfa_id
ORDER BY s.pfa_id

-- name: rows_of_single, rows_of_single@one
-- The same of modifications that are the only ones of their records: nothing is stacked.
SELECT m.organization_id, m.user_id, m.pfa_id, m.delta, r.data || m.delta AS data, m.modification_id
FROM pfa_modification AS m
JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = m.pfa_id
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
ORDER BY m.pfa_id

-- name: put_overlays
INSERT INTO pfa_overlay (
    organization_id, user_id, pfa_id, delta, data, modification_id)
{rows}
ON CONFLICT (organization_id, user_id, pfa_id) DO UPDATE
SET delta = EXCLUDED.delta,
    data = EXCLUDED.data,
    modification_id = EXCLUDED.modification_id

-- name: update_overlay
-- The same for one record whose row exists, as that of a changed draft does: an insert with a conflict computes
-- the columns generated from `data` twice, half the time of an edit. For many records the planner, which
-- estimates one, would compute the rows anew for each.
UPDATE pfa_overlay AS o
SET delta = s.delta,
    data = s.data,
    modification_id = s.modification_id
FROM (
{rows}
) AS s
WHERE o.organization_id = %(organization_id)s
  AND o.user_id = %(user_id)s
  AND o.pfa_id = s.pfa_id

-- name: put_stacked, put_stacked@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: put_overlays(rows = overlay_rows)

-- name: put_only, put_only@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: put_overlays(rows = rows_of_single)

-- name: update_stacked, update_stacked@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: update_overlay(rows = overlay_rows)

-- name: update_only, update_only@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: update_overlay(rows = rows_of_single)
