-- Reading merged records: untouched ones from the mirror, touched ones from the caller's overlay.
-- {conditions}, {segment} and {order} are joined in store/reads/merged.py from literals; both tables are called r,
-- so that a condition means the same on both. {content} is the record as text, or a whole line of JSON.

-- name: pristine
SELECT r.pfa_id, {content} AS content, 'pristine' AS sync_state, NULL::text AS session_id,
       0 AS version, NULL::timestamptz AS modified_at{amounts}{keys}
FROM pfa_mirror AS r
{costs}
WHERE r.organization_id = %(organization_id)s
  AND {segment}
  AND {conditions}
  AND {untouched}
ORDER BY {order}
LIMIT %(upto)s

-- name: untouched
-- IS FALSE keeps it from becoming a join: of a user who is not in the statistics the planner expects one draft, and
-- compared each record with all of them. As it stands their ids are hashed once.
EXISTS (
      SELECT FROM pfa_overlay AS t
      WHERE t.organization_id = %(organization_id)s
        AND t.user_id = %(user_id)s
        AND t.pfa_id = r.pfa_id) IS FALSE

-- name: untouched_of_all
-- The same where every record is read: only of this form do two processes share the work. For few records, all of the
-- user's ids would be read.
(r.pfa_id IN (
      SELECT t.pfa_id
      FROM pfa_overlay AS t
      WHERE t.organization_id = %(organization_id)s
        AND t.user_id = %(user_id)s)) IS NOT TRUE

-- name: share
-- A line of 700 characters takes longer to make and to sort than to hand over to another process, which the planner
-- takes for as dear as ten comparisons.
SET LOCAL parallel_tuple_cost = 0.01;

-- name: untouched_page
-- The same for some rows: a look-up for each. An order by what is looked up leaves one index that has it: with an
-- equality alone any index that begins with organization and user costs the same for a user who is expected to have
-- one draft, and all drafts were read for each row.
NOT EXISTS (
      SELECT FROM pfa_overlay AS t
      WHERE t.organization_id = %(organization_id)s
        AND t.user_id = %(user_id)s
        AND t.pfa_id BETWEEN r.pfa_id AND r.pfa_id
      ORDER BY t.pfa_id
      OFFSET 0)

-- name: touched
SELECT r.pfa_id, {content} AS content, m.state AS sync_state, m.session_id,
       m.version, m.updated_at AS modified_at{amounts}{keys}
FROM pfa_overlay AS r
{topmost}
{costs}
WHERE r.organization_id = %(organization_id)s
  AND r.user_id = %(user_id)s
  AND {segment}
  AND {conditions}
  AND {narrowing}
ORDER BY {order}
LIMIT %(upto)s

-- name: touched_page
-- The same for some rows, in an order and under conditions that ask for no costs: the modifications of a page are looked
-- up once it is known. A planner that expects one row looked up those of all drafts before it sorted them.
SELECT r.pfa_id, {content} AS content, m.state AS sync_state, m.session_id,
       m.version, m.updated_at AS modified_at{amounts}{keys}
FROM (
    SELECT *
    FROM pfa_overlay AS r
    WHERE r.organization_id = %(organization_id)s
      AND r.user_id = %(user_id)s
      AND {segment}
      AND {conditions}
      AND {narrowing}
    ORDER BY {order}
    LIMIT %(upto)s) AS r
{topmost}
ORDER BY {order}

-- name: topmost
-- The modification on top of an overlay row: state, session, version and time of a touched record are its. Each is
-- looked up. OFFSET 0 keeps the tables in this order, and no other index than that of the key serves here (see
-- pfa_modification_session): a planner that expects one row of each compared all with all.
CROSS JOIN LATERAL (
    SELECT t.state, t.session_id, t.version, t.updated_at
    FROM pfa_modification AS t
    WHERE t.organization_id = %(organization_id)s
      AND t.modification_id = r.modification_id
    OFFSET 0) AS m

-- name: whole
SELECT *
FROM ({segments}) AS page
ORDER BY {order}
LIMIT %(limit)s OFFSET %(offset)s

-- name: record
r.data::text

-- name: sheet_of_pristine
-- A record with what it is made of: the version of the mirror's record, its data, the caller's changes.
concat('[', r.version, ',', r.data, ',{{}}]')

-- name: sheet_of_touched
concat('[', (SELECT concat(b.version, ',', b.data)
             FROM pfa_mirror AS b
             WHERE b.organization_id = %(organization_id)s
               AND b.pfa_id = r.pfa_id), ',', r.delta, ']')

-- name: values_ahead
-- The next value of a column that an index has, and the value of the record a page further.
SELECT (SELECT {column} FROM pfa_mirror AS r
        WHERE r.organization_id = %(organization_id)s AND {bound}
        ORDER BY {order} LIMIT 1)::text,
       (SELECT {column} FROM pfa_mirror AS r
        WHERE r.organization_id = %(organization_id)s AND {bound}
        ORDER BY {order} LIMIT 1 OFFSET %(upto)s)::text

-- name: value_soon
-- The number of records of one value among the first ones in the order, counted up to a page.
SELECT count(*)
FROM (
    SELECT
    FROM (
        SELECT *
        FROM pfa_mirror AS r
        WHERE r.organization_id = %(organization_id)s
          AND {segment}
        ORDER BY {order}
        LIMIT %(ahead)s
    ) AS r
    WHERE {value}
      AND {conditions}
    LIMIT %(upto)s
) AS f

-- name: some_matching
-- The number of records that match, counted up to a few.
SELECT count(*)
FROM (
    SELECT
    FROM pfa_mirror AS r
    WHERE r.organization_id = %(organization_id)s
      AND {conditions}
    LIMIT %(few)s
) AS f

-- name: any_soon
-- Whether any of the first records in an order matches.
SELECT EXISTS (
    SELECT
    FROM (
        SELECT *
        FROM pfa_mirror AS r
        WHERE r.organization_id = %(organization_id)s
          AND {segment}
        ORDER BY {order}
        LIMIT %(ahead)s
    ) AS r
    WHERE {conditions})

-- name: lines
SELECT e.content
FROM ({rows}) AS e

-- name: line_of_pristine
-- The record as the database keeps it, with its marks. Made of each row before rows are sorted, which two
-- processes can share, and in one piece: each || would copy all that is before it.
concat('{{"pfaId":', to_json(r.pfa_id), ',"data":', {data},
       ',"syncState":"pristine","sessionId":null,"version":0,"modifiedAt":null,"modifiedBy":null}}')

-- name: line_of_touched
concat('{{"pfaId":', to_json(r.pfa_id), ',"data":', {data}, ',"syncState":"', m.state,
       '","sessionId":', to_json(m.session_id), ',"version":', m.version, ',"modifiedAt":"',
       to_char(m.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       '","modifiedBy":', to_json(%(user_id)s::text), '}}')

-- name: data_as_it_is
r.data

-- name: data_masked
-- The record with null in every field but those that may be shown, and in both prices.
(r.data || (
           SELECT coalesce(jsonb_object_agg(k.name, NULL::jsonb), '{}')
           FROM jsonb_object_keys(r.data) AS k (name)
           WHERE k.name <> ALL(%(shown)s))
       || '{"monthlyRate": null, "purchasePrice": null}')

-- name: count_rollup
-- Mirror records that match, where every filter is a dimension of the rollup.
(SELECT coalesce(sum(r.record_count), 0)::bigint
 FROM kpi_rollup AS r
 WHERE r.organization_id = %(organization_id)s
   AND {conditions})

-- name: count_mirror
(SELECT count(*)
 FROM pfa_mirror AS r
 WHERE r.organization_id = %(organization_id)s
   AND {conditions})

-- name: count_ids
cardinality(%(found)s::text[])

-- name: count_touched_before
-- Of the mirror records that match, those that the caller touched: they count as the caller sees them. Each is
-- looked up: for a category the planner prefers to read all records over five hundred look-ups. `differing`
-- leaves out those that count the same in both.
(SELECT -count(*)
 FROM pfa_overlay AS t
 CROSS JOIN LATERAL (
     SELECT *
     FROM pfa_mirror AS m
     WHERE m.organization_id = %(organization_id)s
       AND m.pfa_id = t.pfa_id
     OFFSET 0) AS r
 WHERE t.organization_id = %(organization_id)s
   AND t.user_id = %(user_id)s
   AND {differing}
   AND {conditions})

-- name: count_touched
(SELECT count(*)
 FROM pfa_overlay AS r
 WHERE r.organization_id = %(organization_id)s
   AND r.user_id = %(user_id)s
   AND {differing}
   AND {conditions}
   AND {narrowing})

-- name: drafted_field
-- A draft of a field that a filter looks at.
{table}.delta ?| %(looked_at)s

-- name: has_value
SELECT EXISTS (
    SELECT FROM pfa_mirror AS r
    WHERE r.organization_id = %(organization_id)s
      AND {column} = %(value)s)
    OR EXISTS (
    SELECT FROM pfa_overlay AS r
    WHERE r.organization_id = %(organization_id)s
      AND r.user_id = %(user_id)s
      AND {column} = %(value)s)

-- name: values
-- The distinct values of a dimension, merged or not: enough for a "did you mean" suggestion.
SELECT DISTINCT {column} FROM pfa_mirror AS r
WHERE r.organization_id = %(organization_id)s
  AND {column} IS NOT NULL
LIMIT 5000

-- name: first_values
-- The first distinct values of a column that has an index: a look at it for each, however many records have one.
WITH RECURSIVE known AS (
    SELECT (SELECT {column} FROM pfa_mirror AS r
            WHERE r.organization_id = %(organization_id)s AND {column} > ''
            ORDER BY {column} LIMIT 1) AS value
    UNION ALL
    SELECT (SELECT {column} FROM pfa_mirror AS r
            WHERE r.organization_id = %(organization_id)s AND {column} > known.value
            ORDER BY {column} LIMIT 1)
    FROM known WHERE known.value IS NOT NULL
)
SELECT value FROM known WHERE value IS NOT NULL LIMIT %(most)s

-- name: first_ids
-- The first keys, each of which is there once.
SELECT pfa_id FROM pfa_mirror
WHERE organization_id = %(organization_id)s
ORDER BY pfa_id
LIMIT %(most)s
