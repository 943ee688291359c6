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

-- name: hold_overlays, hold_overlays@one
-- The mirror's writers lock these rows before they change what is under them: until the transaction ends no one does.
SELECT count(*)
FROM (
    SELECT o.pfa_id
    FROM pfa_overlay AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.user_id = %(user_id)s
      AND o.pfa_id = ANY(%(ids)s)
    ORDER BY o.pfa_id
    FOR UPDATE
) AS held

-- name: drop
WITH gone AS (
    DELETE FROM pfa_overlay AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.user_id = %(user_id)s
      AND o.pfa_id = ANY(%(ids)s)
    RETURNING {columns}
)
{post}

-- name: drop_held, drop_held@one
-- from: drop(columns = overlay_sums.columns, post = overlay_sums.post(rows = overlay_sums.removed))

-- name: drop_overlays
-- by: save_draft, commit, manage_users, manage_settings; admins
-- steps: hold_overlays, drop_held

-- name: drop_if_all
-- Of all that the user has at once, where there is no other one: what each adds to the sums needs no look at it. The
-- first row of another record ends the look for one.
DELETE FROM pfa_overlay AS o
WHERE o.organization_id = %(organization_id)s
  AND o.user_id = %(user_id)s
  AND NOT EXISTS (
      SELECT FROM pfa_overlay AS t
      WHERE t.organization_id = %(organization_id)s
        AND t.user_id = %(user_id)s
        AND (t.pfa_id IN (SELECT i.pfa_id FROM unnest(%(ids)s::text[]) AS i (pfa_id))) IS NOT TRUE)

-- name: clear_sums
-- The sums of no overlay are nothing: what the user's own transactions posted goes …
DELETE FROM kpi_overlay AS k
WHERE k.organization_id = %(organization_id)s
  AND k.user_id = %(user_id)s
  AND NOT k.of_mirror
  AND NOT EXISTS (
      SELECT FROM pfa_overlay AS o WHERE o.organization_id = %(organization_id)s AND o.user_id = %(user_id)s)

-- name: even_out
-- … and what the mirror's writers posted is taken back, by rows of the user's side. None of them is under way: one that
-- looks at an overlay holds its row until it ends.
-- from: overlay_sums.add(sums = overlay_sums.taken_back)

-- name: drop_all_overlays
-- by: save_draft, commit, manage_users, manage_settings; admins
-- steps: drop_if_all, clear_sums after drop_if_all, even_out after drop_if_all

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

-- name: old_of_ids
FROM pfa_overlay AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.user_id = %(user_id)s
      AND o.pfa_id = ANY(%(ids)s)

-- name: old_of_single
FROM pfa_modification AS m
    CROSS JOIN LATERAL (
        SELECT *
        FROM pfa_overlay AS o
        WHERE o.organization_id = %(organization_id)s
          AND o.user_id = %(user_id)s
          AND o.pfa_id = m.pfa_id
        OFFSET 0) AS o
    WHERE m.organization_id = %(organization_id)s
      AND m.user_id = %(user_id)s
      AND m.modification_id = ANY(%(modification_ids)s::uuid[])

-- name: put_overlays
-- The mirror's rows are locked, and with the member row the user's other writers wait: what was there before is what
-- the statement replaces.
WITH found AS MATERIALIZED (
    SELECT {columns}
    {old}
), written AS (
    INSERT INTO pfa_overlay AS o (
        organization_id, user_id, pfa_id, delta, data, modification_id)
    {rows}
    ON CONFLICT (organization_id, user_id, pfa_id) DO UPDATE
    SET delta = EXCLUDED.delta,
        data = EXCLUDED.data,
        modification_id = EXCLUDED.modification_id
    RETURNING {columns}
), {replaced}
{post}

-- name: update_overlay
-- The same for one record whose row most likely exists, as that of a changed draft does: an insert with a conflict
-- computes the columns generated from `data` twice, half the time of an edit. For many records the planner, which
-- estimates one, would compute the rows anew for each.
WITH found AS MATERIALIZED (
    SELECT {columns}
    {old}
), wanted AS MATERIALIZED (
    {rows}
), changed AS (
    UPDATE pfa_overlay AS o
    SET delta = w.delta,
        data = w.data,
        modification_id = w.modification_id
    FROM wanted AS w
    WHERE o.organization_id = %(organization_id)s
      AND o.user_id = %(user_id)s
      AND o.pfa_id = w.pfa_id
    RETURNING {columns}
), added AS (
    INSERT INTO pfa_overlay AS o (
        organization_id, user_id, pfa_id, delta, data, modification_id)
    SELECT w.organization_id, w.user_id, w.pfa_id, w.delta, w.data, w.modification_id
    FROM wanted AS w
    WHERE NOT EXISTS (SELECT FROM changed)
    ON CONFLICT (organization_id, user_id, pfa_id) DO UPDATE
    SET delta = EXCLUDED.delta,
        data = EXCLUDED.data,
        modification_id = EXCLUDED.modification_id
    RETURNING {columns}
), written AS (
    SELECT * FROM changed UNION ALL SELECT * FROM added
), {replaced}
{post}

-- name: put_stacked, put_stacked@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: put_overlays(old = old_of_ids, rows = overlay_rows, columns = overlay_sums.columns, replaced = overlay_sums.replaced, post = overlay_sums.post(rows = overlay_sums.replacing))

-- name: put_only, put_only@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: put_overlays(old = old_of_single, rows = rows_of_single, columns = overlay_sums.columns, replaced = overlay_sums.replaced, post = overlay_sums.post(rows = overlay_sums.replacing))

-- name: update_stacked, update_stacked@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: update_overlay(old = old_of_ids, rows = overlay_rows, columns = overlay_sums.columns, replaced = overlay_sums.replaced, post = overlay_sums.post(rows = overlay_sums.replacing))

-- name: update_only, update_only@one
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: update_overlay(old = old_of_single, rows = rows_of_single, columns = overlay_sums.columns, replaced = overlay_sums.replaced, post = overlay_sums.post(rows = overlay_sums.replacing))

-- name: own_rows
SELECT %(sign)s::integer AS sign, false AS of_mirror, {columns}
            {old}

-- name: post_stacked
-- What these rows add to the sums, or with the sign -1 what they no longer do: in front of what changes them and behind
-- it, where the tables are distributed. There each part of a statement that changes rows is sent by itself, and the
-- parts of one as above take ten times as long.
-- from: overlay_sums.post(rows = own_rows(columns = overlay_sums.columns, old = old_of_ids))

-- name: post_only
-- from: overlay_sums.post(rows = own_rows(columns = overlay_sums.columns, old = old_of_single))

-- name: sums_stacked
-- The same as rows, which the client adds up: where there are few of them, to send them is cheaper than a statement
-- that reads and writes, which a distributed server executes by way of a file.
-- from: overlay_sums.of_sums(differences = overlay_sums.differences(rows = own_rows(columns = overlay_sums.columns, old = old_of_ids)))

-- name: sums_only
-- from: overlay_sums.of_sums(differences = overlay_sums.differences(rows = own_rows(columns = overlay_sums.columns, old = old_of_single)))

-- name: write
INSERT INTO pfa_overlay AS o (
    organization_id, user_id, pfa_id, delta, data, modification_id)
{rows}
ON CONFLICT (organization_id, user_id, pfa_id) DO UPDATE
SET delta = EXCLUDED.delta,
    data = EXCLUDED.data,
    modification_id = EXCLUDED.modification_id

-- name: write_stacked
-- from: write(rows = overlay_rows)

-- name: write_only
-- from: write(rows = rows_of_single)

-- name: old_of_pairs
FROM unnest(%(users)s::text[], %(ids)s::text[]) AS i (user_id, pfa_id)
    CROSS JOIN LATERAL (
        SELECT *
        FROM pfa_overlay AS o
        WHERE o.organization_id = %(organization_id)s
          AND o.user_id = i.user_id
          AND o.pfa_id = i.pfa_id
        OFFSET 0) AS o

-- name: rows_of_pairs
-- As overlay_rows, of pairs of user and record.
SELECT %(organization_id)s, s.user_id, s.pfa_id, s.delta, r.data || s.delta, s.modification_id
    FROM (
        SELECT m.user_id, m.pfa_id,
               jsonb_object_agg(f.key, f.value
                   ORDER BY m.state = 'draft', m.committed_at, m.modification_id) AS delta,
               (array_agg(m.modification_id
                   ORDER BY m.state = 'draft' DESC, m.committed_at DESC, m.modification_id DESC))[1]
                   AS modification_id
        FROM pfa_modification AS m
        CROSS JOIN LATERAL jsonb_each(CASE WHEN pfa_is_delta(m.delta) THEN m.delta ELSE '{}' END)
            AS f (key, value)
        WHERE m.organization_id = %(organization_id)s
          AND m.user_id = ANY(%(users)s::text[])
          AND m.pfa_id = ANY(%(ids)s::text[])
          AND m.state <> 'synced'
          AND (m.user_id, m.pfa_id) IN (SELECT * FROM unnest(%(users)s::text[], %(ids)s::text[]))
        GROUP BY m.user_id, m.pfa_id
    ) AS s
    JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = s.pfa_id
    ORDER BY s.user_id, s.pfa_id

-- name: drop_left
WITH gone AS (
    DELETE FROM pfa_overlay AS o
    USING (
        SELECT i.user_id, i.pfa_id
        FROM unnest(%(users)s::text[], %(ids)s::text[]) AS i (user_id, pfa_id)
        EXCEPT
        SELECT m.user_id, m.pfa_id
        FROM pfa_modification AS m
        WHERE m.organization_id = %(organization_id)s
          AND m.user_id = ANY(%(users)s::text[])
          AND m.pfa_id = ANY(%(ids)s::text[])
          AND m.state <> 'synced'
          AND pfa_is_delta(m.delta)) AS g
    WHERE o.organization_id = %(organization_id)s
      AND o.user_id = g.user_id
      AND o.pfa_id = g.pfa_id
    RETURNING {columns}
)
{post}

-- name: drop_pairs
-- Of pairs of user and record, the overlay rows without an active modification: in pfa_rebuild_overlays, after a push
-- has settled some and with the owners' member rows locked.
-- from: drop_left(columns = overlay_sums.columns, post = overlay_sums.post(rows = overlay_sums.removed))

-- name: put_pairs
-- The others, there.
-- from: put_overlays(old = old_of_pairs, rows = rows_of_pairs, columns = overlay_sums.columns, replaced = overlay_sums.replaced, post = overlay_sums.post(rows = overlay_sums.replacing))
