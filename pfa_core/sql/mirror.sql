-- The mirror and what a pull does to it. Every block runs while the organization's mirror is
-- locked (members.lock_mirror), in the order written here.

-- name: create_incoming
-- by: sync, refresh_data, import
-- then: GRANT SELECT, INSERT, DELETE ON pfa_incoming TO pfa_app
CREATE TEMPORARY TABLE pfa_incoming (
    pfa_id   text COLLATE "C" NOT NULL,
    data     jsonb NOT NULL,
    revision text,
    digest   bytea,
    shape    bigint,
    unknown  text[] COLLATE "C"
) ON COMMIT DROP;

-- name: copy_incoming
COPY pfa_incoming (pfa_id, data, digest, shape, unknown) FROM STDIN;

-- name: index_incoming
-- by: sync, refresh_data, import
-- With the index each record is one look-up, whatever the statistics of a mirror that has just been filled:
-- with a nested loop a million records took many minutes.
CREATE UNIQUE INDEX ON pfa_incoming (pfa_id);

-- name: analyze
-- After many new records: until autovacuum analyzes the table, every plan is made for a mirror without them.
ANALYZE pfa_mirror, pfa_digest;

-- name: analyze@rls
-- Only the table's owner may analyze it.
SELECT pfa_analyze_mirror();

-- name: analyze_incoming
-- by: sync, refresh_data, import
ANALYZE pfa_incoming;

-- name: fold_incoming
-- What PEMS has accepted, as whole records: the mirror's, updated with the record as PEMS returned it (only
-- the fields that the mirror has), updated with the changes. The derived flags follow the dates.
INSERT INTO pfa_incoming (pfa_id, data, revision)
SELECT d.pfa_id,
       d.data || jsonb_build_object(
           'hasPlan', d.data ->> 'originalStart' IS NOT NULL AND d.data ->> 'originalEnd' IS NOT NULL,
           'hasActuals', d.data ->> 'actualStart' IS NOT NULL AND d.data ->> 'actualEnd' IS NOT NULL),
       d.revision
FROM (
    SELECT r.pfa_id, f.revision,
           r.data || coalesce((
               SELECT jsonb_object_agg(p.key, p.value)
               FROM jsonb_each(f.reading) AS p (key, value)
               WHERE r.data ? p.key), '{}') || f.changes AS data
    FROM jsonb_to_recordset(%(folds)s) AS f (
        pfa_id text, reading jsonb, changes jsonb, revision text)
    JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = f.pfa_id
) AS d;

-- name: drop_known
-- Accepted records that the mirror has already. A distributed server fetches what the sub-select reads: the named
-- records, not the whole mirror.
DELETE FROM pfa_incoming AS i
USING (
    SELECT r.pfa_id, r.data
    FROM pfa_mirror AS r
    WHERE r.organization_id = %(organization_id)s
      AND r.pfa_id = ANY(%(ids)s::text[])
    OFFSET 0) AS m
WHERE m.pfa_id = i.pfa_id
  AND m.data = i.data
RETURNING i.pfa_id, i.revision;

-- name: note_revisions
-- by: sync
-- mirror:
-- unless: pfa_knows_unsettled(%(organization_id)s, %(known)s)
-- PEMS's version is recorded of unchanged records too.
UPDATE pfa_mirror AS m
SET pems_revision = k.revision
FROM jsonb_to_recordset(%(known)s) AS k (pfa_id text, revision text)
WHERE m.organization_id = %(organization_id)s
  AND m.pfa_id = k.pfa_id;

-- name: found_again
-- by: refresh_data, import
-- mirror:
-- Records that were missing and are received again.
UPDATE pfa_mirror AS m
SET missing_since = NULL
WHERE m.organization_id = %(organization_id)s
  AND m.missing_since IS NOT NULL
  AND m.pfa_id IN (SELECT i.pfa_id FROM pfa_incoming AS i);

-- name: create_seen
-- With a primary key each record is one look-up, whatever the statistics of the mirror.
CREATE TEMPORARY TABLE pfa_seen (pfa_id text COLLATE "C" PRIMARY KEY) ON COMMIT DROP;

-- name: gather_seen
INSERT INTO pfa_seen (pfa_id)
SELECT DISTINCT s.pfa_id
FROM pfa_pull_page AS p
CROSS JOIN LATERAL unnest(p.ids) AS s (pfa_id)
WHERE p.organization_id = %(organization_id)s
  AND p.run_id = %(run_id)s
ON CONFLICT DO NOTHING;

-- name: create_absent
-- Both sides of what follows have an index by the id: whatever the statistics of the mirror, it is a look-up for each record.
CREATE TEMPORARY TABLE pfa_absent (pfa_id text COLLATE "C" PRIMARY KEY) ON COMMIT DROP;

-- name: gather_absent
-- Records that a complete pull, begun at `began_at`, did not contain. They are written down first: a distributed server
-- refuses an update whose condition looks up a temporary table, and one that joins a sub-select is a loop in a loop where the
-- planner takes both for one row.
INSERT INTO pfa_absent (pfa_id)
SELECT r.pfa_id
FROM pfa_mirror AS r
LEFT JOIN pfa_seen AS s ON s.pfa_id = r.pfa_id
WHERE r.organization_id = %(organization_id)s
  AND r.missing_since IS NULL
  AND r.updated_at < %(began_at)s
  AND s.pfa_id IS NULL
ON CONFLICT DO NOTHING;

-- name: mark_missing
UPDATE pfa_mirror AS m
SET missing_since = %(at)s
FROM (SELECT a.pfa_id FROM pfa_absent AS a) AS g
WHERE m.organization_id = %(organization_id)s
  AND m.pfa_id = g.pfa_id
  AND m.missing_since IS NULL;

-- name: count_marked
SELECT count(*)
FROM pfa_mirror
WHERE organization_id = %(organization_id)s
  AND missing_since IS NOT NULL;

-- name: count_missing
-- Mirror records that were not received.
SELECT count(*)
FROM pfa_mirror AS m
LEFT JOIN pfa_incoming AS i ON i.pfa_id = m.pfa_id
WHERE m.organization_id = %(organization_id)s
  AND i.pfa_id IS NULL;

-- name: knows_between
-- Whether the mirror has any record from the first to the last id; if not, all of them are new.
SELECT EXISTS (
    SELECT FROM pfa_mirror
    WHERE organization_id = %(organization_id)s
      AND pfa_id BETWEEN %(first)s AND %(last)s),
    to_regclass('pfa_mirror_changed') IS NULL AS lacks_indexes;

-- name: reserve
-- Whether the mirror has no indexes yet: then other transactions that write into it wait for this one.
SELECT pfa_reserve_mirror();

-- name: reserve@rls
SELECT pfa_reserve_empty_mirror();

-- name: index
SELECT pfa_index_mirror();

-- name: index@rls
SELECT pfa_index_filled_mirror();

-- name: is_empty
SELECT NOT EXISTS (
    SELECT FROM pfa_mirror
    WHERE organization_id = %(organization_id)s);

-- name: copy_new
-- Records between whose first and last id the mirror has none are copied straight into it.
COPY pfa_mirror (organization_id, pfa_id, data, version, run_id, updated_at) FROM STDIN;

-- name: held
SELECT r.pfa_id, r.data, r.version, r.xmin AS writer, r.updated_at
    FROM pfa_mirror AS r
    WHERE r.organization_id = %(organization_id)s

-- name: held_named
-- The same of the named ones: a distributed server fetches those rows alone.
SELECT r.pfa_id, r.data, r.version, r.xmin AS writer, r.updated_at
    FROM pfa_mirror AS r
    WHERE r.organization_id = %(organization_id)s
      AND r.pfa_id = ANY(%(ids)s::text[])
    OFFSET 0

-- name: drop_same
-- The remaining rows are new or different; the mirror rows of the others are not written, only from which text
-- they were read now. Rows of a page that PEMS was asked for before a push wrote the record are deleted too: the
-- mirror is newer, unless its time lies in the future.
WITH gone AS (
    DELETE FROM pfa_incoming AS i
    USING (
    {held}) AS m
    WHERE m.pfa_id = i.pfa_id
      AND (m.data = i.data OR m.updated_at BETWEEN %(asked_at)s::timestamptz AND %(now)s)
    RETURNING i.pfa_id, m.version, m.writer, i.digest, i.shape, i.unknown, m.data = i.data AS is_same
), kept AS (
    INSERT INTO pfa_digest AS d (organization_id, pfa_id, version, writer, digest, shape, unknown)
    SELECT %(organization_id)s, g.pfa_id, g.version, g.writer, g.digest, g.shape, g.unknown
    FROM gone AS g
    WHERE g.is_same
      AND g.digest IS NOT NULL
    ORDER BY g.pfa_id
    ON CONFLICT (organization_id, pfa_id) DO UPDATE
    SET version = EXCLUDED.version,
        writer = EXCLUDED.writer,
        digest = EXCLUDED.digest,
        shape = EXCLUDED.shape,
        unknown = EXCLUDED.unknown
)
SELECT count(*) AS dropped FROM gone

-- name: drop_unchanged
-- by: refresh_data, import
-- returns: dropped bigint
-- from: drop_same(held = held)

-- name: drop_unchanged_named
-- by: refresh_data, import
-- returns: dropped bigint
-- from: drop_same(held = held_named)

-- name: gather_same
-- The same in three steps, as a distributed server takes them: one statement changes a temporary table or a
-- distributed one, not both.
INSERT INTO pfa_same (pfa_id, version, writer, digest, shape, unknown, is_same)
SELECT i.pfa_id, m.version, m.writer, i.digest, i.shape, i.unknown, m.data = i.data
FROM pfa_incoming AS i
JOIN (
    {held}) AS m ON m.pfa_id = i.pfa_id
WHERE m.data = i.data OR m.updated_at BETWEEN %(asked_at)s::timestamptz AND %(now)s
ON CONFLICT DO NOTHING

-- name: create_same
CREATE TEMP TABLE pfa_same (
    pfa_id  text COLLATE "C" PRIMARY KEY,
    version integer NOT NULL,
    writer  xid NOT NULL,
    digest  bytea,
    shape   bigint,
    unknown text[] COLLATE "C",
    is_same boolean NOT NULL
) ON COMMIT DROP;

-- name: gather_unchanged
-- from: gather_same(held = held)

-- name: gather_unchanged_named
-- from: gather_same(held = held_named)

-- name: drop_gathered
DELETE FROM pfa_incoming AS i
USING pfa_same AS s
WHERE i.pfa_id = s.pfa_id;

-- name: keep_gathered
INSERT INTO pfa_digest AS d (organization_id, pfa_id, version, writer, digest, shape, unknown)
SELECT %(organization_id)s, s.pfa_id, s.version, s.writer, s.digest, s.shape, s.unknown
FROM pfa_same AS s
WHERE s.is_same
  AND s.digest IS NOT NULL
ORDER BY s.pfa_id
ON CONFLICT (organization_id, pfa_id) DO UPDATE
SET version = EXCLUDED.version,
    writer = EXCLUDED.writer,
    digest = EXCLUDED.digest,
    shape = EXCLUDED.shape,
    unknown = EXCLUDED.unknown;

-- name: drop_same_table
DROP TABLE pfa_same;

-- name: keep_digests
-- From which texts the received records were read that the mirror has now.
INSERT INTO pfa_digest AS d (organization_id, pfa_id, version, writer, digest, shape, unknown)
SELECT %(organization_id)s, i.pfa_id, m.version, m.xmin, i.digest, i.shape, i.unknown
FROM pfa_incoming AS i
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id
WHERE i.digest IS NOT NULL
ORDER BY i.pfa_id
ON CONFLICT (organization_id, pfa_id) DO UPDATE
SET version = EXCLUDED.version,
    writer = EXCLUDED.writer,
    digest = EXCLUDED.digest,
    shape = EXCLUDED.shape,
    unknown = EXCLUDED.unknown;

-- name: copy_digests
COPY pfa_digest (organization_id, pfa_id, version, writer, digest, shape, unknown) FROM STDIN;

-- name: stamp_digests
-- A row on a node was written by a transaction of that node, which the coordinator does not know. One COPY wrote all
-- of these, so one look-up finds it: a join of two tables without statistics compared each row with each.
UPDATE pfa_digest AS d
SET writer = (
    SELECT m.xmin
    FROM pfa_mirror AS m
    WHERE m.organization_id = %(organization_id)s
      AND m.pfa_id = %(first)s
)
WHERE d.organization_id = %(organization_id)s
  AND d.pfa_id BETWEEN %(first)s AND %(last)s;

-- name: forget_digests
DELETE FROM pfa_digest
WHERE organization_id = %(organization_id)s
  AND pfa_id BETWEEN %(first)s AND %(last)s;

-- name: writer
-- What rows that are written now have as their writer.
SELECT pg_current_xact_id()::xid::text;

-- name: keep_history
-- A time that no check accepts, of a row that was spoiled by other means, is not kept: the new version mends it.
INSERT INTO pfa_mirror_history (organization_id, pfa_id, version, data, replaced_by_run, replaced_at,
                                written_by_run, written_at, rate_days, forecast_purchase, rate_uom, currency)
SELECT m.organization_id, m.pfa_id, m.version, m.data, %(run_id)s, %(at)s, m.run_id,
       CASE WHEN isfinite(m.updated_at) THEN m.updated_at END,
       CASE WHEN m.is_discontinued OR m.is_funds_transferable OR m.source = 'Purchase' THEN 0
            ELSE coalesce(m.forecast_days * m.monthly_rate, 0) END,
       CASE WHEN m.is_discontinued OR m.is_funds_transferable OR m.source IS DISTINCT FROM 'Purchase' THEN 0
            ELSE coalesce(m.purchase_price, 0) END,
       m.rate_uom, m.currency
FROM pfa_mirror AS m
JOIN pfa_incoming AS i ON i.pfa_id = m.pfa_id
WHERE m.organization_id = %(organization_id)s
ORDER BY m.pfa_id
FOR UPDATE OF m
ON CONFLICT DO NOTHING;

-- name: upsert
INSERT INTO pfa_mirror AS m (organization_id, pfa_id, data, version, run_id, updated_at,
                             pems_revision)
SELECT %(organization_id)s, i.pfa_id, i.data, 1, %(run_id)s, %(at)s, i.revision
FROM pfa_incoming AS i
ORDER BY i.pfa_id
ON CONFLICT (organization_id, pfa_id) DO UPDATE
SET data = EXCLUDED.data,
    version = least(m.version + 1, 2000000000),
    run_id = EXCLUDED.run_id,
    updated_at = EXCLUDED.updated_at,
    pems_revision = EXCLUDED.pems_revision,
    missing_since = NULL;

-- name: overlays_before
-- Overlay rows over received records, locked with what they add to the sums: their users may be discarding them.
SELECT -1 AS sign, true AS of_mirror, h.*
            FROM (
                SELECT {columns}
                FROM pfa_incoming AS i
                JOIN pfa_overlay AS o ON o.organization_id = %(organization_id)s AND o.pfa_id = i.pfa_id
                ORDER BY o.pfa_id, o.user_id
                FOR UPDATE OF o
            ) AS h

-- name: overlays_after
SELECT 1 AS sign, true AS of_mirror, {columns}
            FROM pfa_incoming AS i
            JOIN pfa_overlay AS o ON o.organization_id = %(organization_id)s AND o.pfa_id = i.pfa_id

-- name: take_back_overlays
-- from: overlay_sums.post(rows = overlays_before(columns = overlay_sums.columns))

-- name: post_overlays
-- from: overlay_sums.post(rows = overlays_after(columns = overlay_sums.columns))

-- name: overlaid
-- The received records that users have overlays of. Where the program sends the statements itself it names them: what a
-- distributed server looks up by a temporary table it fetches, and a lock cannot be fetched.
SELECT DISTINCT o.pfa_id
FROM pfa_incoming AS i
JOIN pfa_overlay AS o ON o.organization_id = %(organization_id)s AND o.pfa_id = i.pfa_id
ORDER BY o.pfa_id;

-- name: hold_overlays
-- Their users may be discarding them.
SELECT count(*)
FROM (
    SELECT o.pfa_id
    FROM pfa_overlay AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.pfa_id = ANY(%(ids)s::text[])
    ORDER BY o.pfa_id, o.user_id
    FOR UPDATE
) AS held;

-- name: overlays_named
SELECT %(sign)s::integer AS sign, true AS of_mirror, {columns}
            FROM pfa_overlay AS o
            WHERE o.organization_id = %(organization_id)s
              AND o.pfa_id = ANY(%(ids)s::text[])

-- name: post_named
-- Subtracts (sign -1) what their overlays add to the sums, or adds it (sign 1).
-- from: overlay_sums.post(rows = overlays_named(columns = overlay_sums.columns))

-- name: refresh_overlays
-- The deltas stay; they are applied to the mirror's new data.
UPDATE pfa_overlay AS o
SET data = m.data || o.delta
FROM pfa_mirror AS m
JOIN pfa_incoming AS i ON i.pfa_id = m.pfa_id
WHERE m.organization_id = %(organization_id)s
  AND o.organization_id = %(organization_id)s
  AND o.pfa_id = m.pfa_id;

-- name: received
pfa_mirror AS m
WHERE m.organization_id = %(organization_id)s
  AND m.pfa_id IN (SELECT i.pfa_id FROM pfa_incoming AS i)

-- name: between
pfa_mirror AS m
WHERE m.organization_id = %(organization_id)s
  AND m.pfa_id BETWEEN %(first)s AND %(last)s

-- name: all
pfa_mirror AS m
WHERE m.organization_id = %(organization_id)s

-- name: put
put AS m
WHERE true

-- name: sums
-- The sums of mirror rows by every dimension; with sign -1 to subtract them.
SELECT m.organization_id, coalesce(m.category, ''), coalesce(m.class, ''),
       coalesce(m.source, ''), coalesce(m.dor, ''), coalesce(m.area_silo, ''),
       m.is_actualized, m.is_discontinued, m.is_funds_transferable,
       coalesce(m.rate_uom, ''), coalesce(m.currency, ''),
       %(sign)s * count(*),
       %(sign)s * coalesce(sum(m.monthly_rate) FILTER (WHERE m.source <> 'Purchase'), 0),
       %(sign)s * coalesce(sum(m.purchase_price) FILTER (WHERE m.source = 'Purchase'), 0),
       %(sign)s * coalesce(sum(m.purchase_price) FILTER (WHERE m.source = 'Purchase' AND m.has_actuals), 0),
       %(sign)s * coalesce(sum(m.plan_days * m.monthly_rate) FILTER (WHERE m.source <> 'Purchase'), 0),
       %(sign)s * coalesce(sum(m.forecast_days * m.monthly_rate) FILTER (WHERE m.source <> 'Purchase'), 0),
       %(sign)s * coalesce(sum(m.actual_days * m.monthly_rate) FILTER (WHERE m.source <> 'Purchase'), 0),
       %(sign)s * count(*) FILTER (WHERE m.source <> 'Purchase' AND m.forecast_start IS NULL),
       %(sign)s * count(*) FILTER (WHERE m.source <> 'Purchase' AND m.forecast_end IS NULL),
       %(sign)s * count(*) FILTER (WHERE CASE WHEN m.source = 'Purchase' THEN m.purchase_price
                                              ELSE m.monthly_rate END IS NULL)
FROM {rows}
GROUP BY m.organization_id, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11

-- name: post_rollup
-- Adds (sign 1) or subtracts (sign -1) the sums of mirror rows: those received, those between two ids, or all.
INSERT INTO kpi_rollup AS k (
    organization_id, category, class, source, dor, area_silo,
    is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency,
    record_count, monthly_rental, purchase_cost, actual_purchase,
    plan_rate_days, forecast_rate_days, actual_rate_days,
    without_start, without_end, without_price)
{sums}
ON CONFLICT (organization_id, category, class, source, dor, area_silo,
             is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency) DO UPDATE
SET record_count = k.record_count + EXCLUDED.record_count,
    monthly_rental = k.monthly_rental + EXCLUDED.monthly_rental,
    purchase_cost = k.purchase_cost + EXCLUDED.purchase_cost,
    actual_purchase = k.actual_purchase + EXCLUDED.actual_purchase,
    plan_rate_days = k.plan_rate_days + EXCLUDED.plan_rate_days,
    forecast_rate_days = k.forecast_rate_days + EXCLUDED.forecast_rate_days,
    actual_rate_days = k.actual_rate_days + EXCLUDED.actual_rate_days,
    without_start = k.without_start + EXCLUDED.without_start,
    without_end = k.without_end + EXCLUDED.without_end,
    without_price = k.without_price + EXCLUDED.without_price;

-- name: taken
taken AS m
WHERE true

-- name: post
-- The other kept sums with them. None of the three reads what another writes.
WITH moved AS (
{moves}
), summed AS (
{fields}
)
{rollup}

-- name: post_kept
WITH moved AS (
{moves}
)
{fields}

-- name: post_taken
-- The same of records that are looked up, once for all three.
WITH taken AS MATERIALIZED (
    SELECT m.organization_id, m.category, m.class, m.source, m.dor, m.area_silo, m.manufacturer, m.contract,
           m.is_actualized, m.is_discontinued, m.is_funds_transferable, m.rate_uom, m.currency, m.monthly_rate,
           m.purchase_price, m.has_actuals, m.plan_days, m.forecast_days, m.actual_days, m.original_start,
           m.original_end, m.forecast_start, m.forecast_end, m.actual_start, m.actual_end
    FROM {rows}
), moved AS (
{moves}
), summed AS (
{fields}
)
{rollup}

-- name: post_received
-- from: post_taken(rows = received, moves = kept_sums.add_moves(moves = kept_sums.moves(rows = taken), kept = kept_sums.kept), fields = kept_sums.add_fields(fields = kept_sums.fields(rows = taken), kept = kept_sums.kept), rollup = post_rollup(sums = sums(rows = taken)))

-- name: post_between
-- from: post(moves = kept_sums.add_moves(moves = kept_sums.moves(rows = between), kept = kept_sums.kept), fields = kept_sums.add_fields(fields = kept_sums.fields(rows = between), kept = kept_sums.kept), rollup = post_rollup(sums = sums(rows = between)))

-- name: post_received_alone
-- On distributed tables, where a statement has one ON CONFLICT at the most: the sums by month and by field are not kept
-- there, and read from the records.
-- from: post_rollup(sums = sums(rows = received))

-- name: post_between_alone
-- from: post_rollup(sums = sums(rows = between))

-- name: post_all_alone
-- from: post_rollup(sums = sums(rows = all))

-- name: post_all
-- from: post(moves = kept_sums.add_moves(moves = kept_sums.moves(rows = all), kept = kept_sums.always), fields = kept_sums.add_fields(fields = kept_sums.fields(rows = all), kept = kept_sums.always), rollup = post_rollup(sums = sums(rows = all)))

-- name: put_with
-- The received records, all of them new, with their digests and sums: the rows are read once, as they are written. A
-- row is digested for the transaction, since what is returned of it does not say which one wrote it.
WITH put AS (
    INSERT INTO pfa_mirror AS n (organization_id, pfa_id, data, version, run_id, updated_at)
    SELECT %(organization_id)s, i.pfa_id, i.data, 1, %(run_id)s, %(at)s
    FROM pfa_incoming AS i
    RETURNING n.organization_id, n.pfa_id, n.version, n.category, n.class, n.source, n.dor, n.area_silo,
              n.is_actualized, n.is_discontinued, n.is_funds_transferable, n.rate_uom, n.currency,
              n.monthly_rate, n.purchase_price, n.has_actuals, n.plan_days, n.forecast_days, n.actual_days,
              n.forecast_start, n.forecast_end, n.manufacturer, n.contract, n.original_start, n.original_end,
              n.actual_start, n.actual_end
), kept AS (
    INSERT INTO pfa_digest AS d (organization_id, pfa_id, version, writer, digest, shape, unknown)
    SELECT p.organization_id, p.pfa_id, p.version, pg_current_xact_id()::xid, i.digest, i.shape, i.unknown
    FROM put AS p
    JOIN pfa_incoming AS i ON i.pfa_id = p.pfa_id
    WHERE i.digest IS NOT NULL
    ON CONFLICT (organization_id, pfa_id) DO UPDATE
    SET version = EXCLUDED.version,
        writer = EXCLUDED.writer,
        digest = EXCLUDED.digest,
        shape = EXCLUDED.shape,
        unknown = EXCLUDED.unknown
){others}
{rollup}

-- name: others
, moved AS (
{moves}
), summed AS (
{fields}
)

-- name: no_others

-- name: put_received
-- from: put_with(others = others(moves = kept_sums.add_moves(moves = kept_sums.moves(rows = put), kept = kept_sums.kept), fields = kept_sums.add_fields(fields = kept_sums.fields(rows = put), kept = kept_sums.kept)), rollup = post_rollup(sums = sums(rows = put)))

-- name: put_portion
-- Without the sums by month and by field.
-- from: put_with(others = no_others, rollup = post_rollup(sums = sums(rows = put)))

-- name: keep_sums
-- from: post_kept(moves = kept_sums.add_moves(moves = kept_sums.moves(rows = all), kept = kept_sums.always), fields = kept_sums.add_fields(fields = kept_sums.fields(rows = all), kept = kept_sums.always))

-- name: empty_incoming
TRUNCATE pfa_incoming;

-- name: clear_unfilled
-- Sums of an organization without records: of rows that were deleted by other means.
DELETE FROM kpi_rollup
WHERE organization_id = %(organization_id)s
  AND NOT EXISTS (SELECT FROM pfa_mirror AS m WHERE m.organization_id = %(organization_id)s);

-- name: clear_rollup
WITH moves AS (
    DELETE FROM kpi_month
    WHERE organization_id = %(organization_id)s
), fields AS (
    DELETE FROM kpi_field
    WHERE organization_id = %(organization_id)s
)
DELETE FROM kpi_rollup
WHERE organization_id = %(organization_id)s;

-- name: drop_kept
-- from: kept_sums.drop_all

-- name: prune_rollup
-- by: sync, refresh_data, import
-- mirror:
WITH moves AS (
    DELETE FROM kpi_month
    WHERE organization_id = %(organization_id)s
      AND move_count = 0
), fields AS (
    DELETE FROM kpi_field
    WHERE organization_id = %(organization_id)s
      AND record_count = 0
)
DELETE FROM kpi_rollup
WHERE organization_id = %(organization_id)s
  AND record_count = 0;

-- name: rows, rows@one
-- The records as PEMS had them last. No row: unknown record.
SELECT pfa_id, data, version, updated_at, missing_since
FROM pfa_mirror
WHERE organization_id = %(organization_id)s
  AND pfa_id = ANY(%(ids)s);

-- name: hold
-- The records, locked in their order. One row, however many they are.
SELECT count(*)
FROM (
    SELECT pfa_id
    FROM pfa_mirror
    WHERE organization_id = %(organization_id)s
      AND pfa_id = ANY(%(ids)s)
    ORDER BY pfa_id
    FOR SHARE
) AS held;

-- name: known, known@one
-- Which of these records there are; none is locked.
SELECT pfa_id
FROM pfa_mirror
WHERE organization_id = %(organization_id)s
  AND pfa_id = ANY(%(ids)s);

-- name: lock_records, lock_records@one
-- The records, locked against changes until the transaction ends. No row: unknown record.
SELECT pfa_id, data, version
FROM pfa_mirror
WHERE organization_id = %(organization_id)s
  AND pfa_id = ANY(%(ids)s)
ORDER BY pfa_id
FOR SHARE;

-- name: lock_fields, lock_fields@one
-- The same with a few fields; a missing one is null.
SELECT pfa_id, version, {fields}
FROM pfa_mirror
WHERE organization_id = %(organization_id)s
  AND pfa_id = ANY(%(ids)s)
ORDER BY pfa_id
FOR SHARE;

-- name: count
SELECT count(*)
FROM pfa_mirror
WHERE organization_id = %(organization_id)s;

-- name: put_new
-- Records between whose first and last id the mirror has none, and their sums.
-- by: refresh_data, import
-- mirror:
-- unless: %(first)s IS NULL OR %(last)s IS NULL
-- unless: EXISTS (SELECT FROM pfa_incoming AS i WHERE i.pfa_id NOT BETWEEN %(first)s AND %(last)s)
-- unless: EXISTS (SELECT FROM pfa_mirror AS m WHERE m.organization_id = %(organization_id)s AND m.pfa_id BETWEEN %(first)s AND %(last)s)
-- steps: put_received[sign = 1]

-- name: fill
-- Some of the records of an empty mirror, and their sums; the next ones are received after them.
-- by: refresh_data, import
-- mirror:
-- steps: clear_unfilled, drop_kept, put_portion[sign = 1], empty_incoming

-- name: fill_kept
-- What is kept beside the rollup of all that was filled in.
-- by: refresh_data, import
-- mirror:
-- steps: drop_kept, keep_sums[sign = 1]

-- name: take_in
-- Received records that are new or different, their sums, and the overlays of those that changed.
-- by: sync, refresh_data, import
-- mirror:
-- unless: pfa_received_unsettled(%(organization_id)s)
-- steps: keep_history, take_back_overlays after keep_history, post_received[sign = -1] after keep_history, upsert, post_received[sign = 1], refresh_overlays after keep_history, post_overlays after refresh_overlays, keep_digests

-- name: recompute_rollup
-- by: manage_settings
-- mirror:
-- steps: clear_rollup, post_all[sign = 1]

-- name: mark_missing_records
-- by: refresh_data, import
-- mirror:
-- unless: NOT pfa_holds_lease(%(organization_id)s, 'pull', %(run_id)s)
-- steps: create_seen, gather_seen, create_absent, gather_absent, mark_missing
