-- Free text: see store/reads/search.py.

-- name: soon
-- The number of matches among the first records in the order, counted up to a page, and how many of them are in the
-- second half of these records.
SELECT count(*), count(*) FILTER (WHERE f.place > %(ahead)s / 2)
FROM (
    SELECT r.place
    FROM (
        SELECT r.search_text, row_number() OVER () AS place
        FROM (
            SELECT r.search_text
            FROM pfa_mirror AS r
            WHERE r.organization_id = %(organization_id)s
              AND {segment}
              AND {others}
            ORDER BY {order}
            LIMIT %(ahead)s
        ) AS r
    ) AS r
    WHERE {search}
    LIMIT %(upto)s
) AS f;

-- name: few
-- Ids of the mirror's records that match a query with a search, at most one more than `most`.
SELECT r.pfa_id
FROM pfa_mirror AS r
WHERE r.organization_id = %(organization_id)s
  AND {conditions}
LIMIT %(most)s + 1;

-- name: few_of_all
-- The same where no index serves, without a limit: with one the planner reads in a single process until it has
-- enough rows. Null: more than `most`.
SELECT CASE WHEN count(*) <= %(most)s THEN coalesce(array_agg(r.pfa_id), '{{}}') END
FROM pfa_mirror AS r
WHERE r.organization_id = %(organization_id)s
  AND {conditions};

-- name: finds_pairs
SELECT pfa_finds_pairs()

-- name: few_of_pair
-- The same by two letters or digits in a row: the index has them with each letter or digit before or behind them, and as
-- a whole word. Where the caller's own setting makes words of a lesser likeness count, more is looked at.
SELECT r.pfa_id
FROM pfa_mirror AS r
WHERE r.organization_id = %(organization_id)s
  AND (r.search_text ~ ('[0-9a-z]' || %(pair)s) OR r.search_text ~ (%(pair)s || '[0-9a-z]')
       OR %(pair)s <%% r.search_text)
  AND {conditions}
LIMIT %(most)s + 1;

-- name: few_of_pair@rls
SELECT pfa_id FROM pfa_search(pfa_fold(%(pattern)s), %(most)s) AS f (pfa_id);

-- name: few@rls
-- The same without other filters: the function searches the index.
SELECT pfa_id FROM pfa_search(pfa_fold(%(search)s), %(most)s) AS f (pfa_id);

-- name: count_found
-- The number of matches without other filters: the function need not read the records.
(SELECT count(*) FROM pfa_search(pfa_fold(%(search)s), NULL))

-- name: in_order
{others} AND {search}

-- name: among_few
{where} AND r.pfa_id = ANY(%(found)s)

-- name: among_all
{where} AND r.pfa_id IN (SELECT pfa_search(pfa_fold(%(search)s), NULL))
