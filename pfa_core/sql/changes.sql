-- What changed in the mirror: versions that arrived within a time, each with the one before it. They are read in three
-- parts: present versions, versions that were replaced since, and missing records. store/reads/changes.py composes
-- them; a record of the mirror is r in all of them, so that filters mean the same as elsewhere.

-- name: page
SELECT f.pfa_id, f.what AS kind, f.at, f.version, f.run_id::text, l.direction, l.user_id AS run_by, f.before, f.after,
       f.cost_before, f.cost_after
FROM ({found}) AS f
LEFT JOIN pfa_sync_log AS l ON l.organization_id = %(organization_id)s AND l.run_id = f.run_id
ORDER BY {order}

-- name: found
SELECT *
FROM ({parts}) AS u
WHERE {place}
ORDER BY {order}
LIMIT %(limit)s

-- name: totals
-- No row of a kind: there is no such change.
SELECT count(*) FILTER (WHERE u.what = 'new'), count(*) FILTER (WHERE u.what = 'changed'),
       count(*) FILTER (WHERE u.what = 'missing'), coalesce(sum(u.cost_after - u.cost_before), 0)
FROM ({parts}) AS u

-- name: present
(SELECT r.pfa_id, {kind} AS what, r.updated_at AS at, r.version, r.run_id, b.data AS before, r.data AS after,
        {cost_before} AS cost_before, {cost_after} AS cost_after
 FROM pfa_mirror AS r
 LEFT JOIN {before}
 CROSS JOIN LATERAL (SELECT r.pfa_id AS record_id) AS c
 WHERE r.organization_id = %(organization_id)s
   AND {window}
   AND {segment}
   AND {matching}
   AND {differs}
 {ordered})

-- name: replaced
(SELECT h.pfa_id, {kind} AS what, h.written_at AS at, h.version, h.written_by_run AS run_id, b.data AS before, h.data AS after,
        {cost_before} AS cost_before, {cost_after} AS cost_after
 FROM pfa_mirror_history AS h
 JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = h.pfa_id
 LEFT JOIN {before}
 CROSS JOIN LATERAL (SELECT r.pfa_id AS record_id) AS c
 WHERE h.organization_id = %(organization_id)s
   AND {window}
   AND {segment}
   AND {matching}
   AND {differs}
 {ordered})

-- name: missing
-- One pull runs at a time: the last one that began before a record was marked has marked it.
(SELECT r.pfa_id, 'missing' AS what, r.missing_since AS at, r.version,
        (SELECT l.run_id
         FROM pfa_sync_log AS l
         WHERE l.organization_id = %(organization_id)s
           AND l.direction = 'pull'
           AND l.started_at <= r.missing_since
         ORDER BY l.started_at DESC
         LIMIT 1) AS run_id,
        r.data AS before, r.data AS after, 0 AS cost_before, 0 AS cost_after
 FROM pfa_mirror AS r
 CROSS JOIN LATERAL (SELECT r.pfa_id AS record_id) AS c
 WHERE r.organization_id = %(organization_id)s
   AND r.missing_since IS NOT NULL
   AND {window}
   AND {segment}
   AND {matching}
 {ordered})

-- name: looked_up
-- The version that was there before, looked up for each row of a page: the last one that is not of the time asked
-- of. No row: the record is new.
LATERAL (
      SELECT o.version, o.data, o.rate_days, o.forecast_purchase, o.rate_uom, o.currency
      FROM pfa_mirror_history AS o
      WHERE o.organization_id = %(organization_id)s
        AND o.pfa_id = {table}.pfa_id
        AND o.version < {table}.version
        AND {outside}
      ORDER BY o.version DESC
      LIMIT 1) AS b ON true

-- name: joined
-- The same for all rows at once: the one that was replaced within the time asked of and had been written before.
pfa_mirror_history AS b ON b.organization_id = %(organization_id)s
   AND b.pfa_id = {table}.pfa_id
   AND {outside}

-- name: untouched
NOT EXISTS (
       SELECT FROM pfa_overlay AS t
       WHERE t.organization_id = %(organization_id)s
         AND t.user_id = %(user_id)s
         AND t.pfa_id = c.record_id)

-- name: touched
-- As the caller sees a record that they changed.
EXISTS (
       SELECT FROM pfa_overlay AS r
       WHERE r.organization_id = %(organization_id)s
         AND r.user_id = %(user_id)s
         AND r.pfa_id = c.record_id
         AND {conditions}
         AND {narrowing})

-- name: cost
-- The forecast cost of a record in money-days, as pfa_core.model.kpi computes it: rates weighed by their unit, and
-- 0 in another currency or of an unknown unit. Most records name neither.
CASE WHEN coalesce({table}.currency, '') <> '' AND %(currency)s <> ''
          AND upper(btrim({table}.currency, %(blanks)s)) NOT IN ('', %(currency)s) THEN 0
     ELSE coalesce(({rate_days} * {weight} + {purchase} * %(rate_days)s), 0) END

-- name: weight
CASE WHEN coalesce({table}.rate_uom, '') = '' THEN %(weight)s::numeric
     ELSE (%(weights)s::jsonb ->> lower(btrim({table}.rate_uom, %(blanks)s)))::numeric END

-- name: rate_days
CASE WHEN r.is_discontinued OR r.is_funds_transferable OR r.source = 'Purchase' THEN 0
     ELSE coalesce(r.forecast_days * r.monthly_rate, 0) END

-- name: purchase
CASE WHEN r.is_discontinued OR r.is_funds_transferable OR r.source IS DISTINCT FROM 'Purchase' THEN 0
     ELSE coalesce(r.purchase_price, 0) END

-- name: settled
-- The changes of a record that some pushes brought to PEMS, the latest first. Of one whose commit the caller may not see
-- there is its id alone. What was sent is what a decision in a conflict left of the commit: the change itself holds it,
-- which row-level security shows to its user, and the entry of the decision.
SELECT o.run_id::text, o.modification_id::text, e.user_id, e.session_id, e.reason,
       coalesce(m.delta, d.after, e.after) AS delta, o.code = 'PEMS_ALTERED' AS altered
FROM pfa_sync_outcome AS o
LEFT JOIN (
    SELECT DISTINCT ON (c.modification_id)
           c.modification_id, c.at, c.user_id, c.session_id, c.reason, c.after
    FROM audit_log AS c
    WHERE c.organization_id = %(organization_id)s
      AND c.pfa_id = %(pfa_id)s
      AND c.action = 'commit'
      AND (%(everyone)s OR c.user_id = %(user_id)s)
    ORDER BY c.modification_id, c.at DESC) AS e ON e.modification_id = o.modification_id
LEFT JOIN (
    SELECT DISTINCT ON (r.modification_id) r.modification_id, r.at, r.after
    FROM audit_log AS r
    WHERE r.organization_id = %(organization_id)s
      AND r.pfa_id = %(pfa_id)s
      AND r.action = 'resolve'
    ORDER BY r.modification_id, r.at DESC) AS d ON d.modification_id = e.modification_id AND d.at >= e.at
LEFT JOIN pfa_modification AS m
  ON m.organization_id = %(organization_id)s
 AND m.modification_id = e.modification_id
 AND m.state = 'synced'
WHERE o.organization_id = %(organization_id)s
  AND o.run_id = ANY(%(run_ids)s::uuid[])
  AND o.pfa_id = %(pfa_id)s
  AND o.outcome = 'synced'
ORDER BY e.at DESC NULLS LAST, o.modification_id;

-- name: settled_archived
-- The same of commits whose entries are archived, by what the changes themselves keep: whose they are is shown to the
-- user, or where no policy hides the changes of others.
SELECT o.run_id::text, o.modification_id::text, m.user_id, m.session_id, m.change_reason AS reason, m.delta,
       o.code = 'PEMS_ALTERED' AS altered
FROM pfa_sync_outcome AS o
JOIN pfa_modification AS m
  ON m.organization_id = %(organization_id)s AND m.modification_id = o.modification_id
WHERE o.organization_id = %(organization_id)s
  AND o.run_id = ANY(%(run_ids)s::uuid[])
  AND o.pfa_id = %(pfa_id)s
  AND o.outcome = 'synced'
  AND m.pfa_id = %(pfa_id)s
  AND m.state = 'synced'
  AND (%(everyone)s OR m.user_id = %(user_id)s)
  AND NOT EXISTS (
      SELECT FROM audit_log AS e
      WHERE e.organization_id = %(organization_id)s
        AND e.pfa_id = %(pfa_id)s
        AND e.action = 'commit'
        AND e.modification_id = m.modification_id)
ORDER BY m.synced_at DESC;
