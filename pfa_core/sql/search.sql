-- Free text: see store/reads/search.py.

-- name: soon
-- Of the records that come first in the order, how many the search finds, counted no further than a page.
SELECT count(*)
FROM (
    SELECT
    FROM (
        SELECT r.search_text
        FROM pfa_mirror AS r
        WHERE r.organization_id = %(organization_id)s
          AND {stretch}
          AND {others}
        ORDER BY {order}
        LIMIT %(ahead)s
    ) AS r
    WHERE {search}
    LIMIT %(upto)s
) AS f;

-- name: few
-- Ids of the mirror's records that a query with a search finds, one more than `most` where there are so many.
SELECT r.pfa_id
FROM pfa_mirror AS r
WHERE r.organization_id = %(organization_id)s
  AND {conditions}
LIMIT %(most)s + 1;

-- name: few_of_all
-- The same where no index helps, read to the end: a limit would be taken for a reason to read one after the
-- other, alone, until there are enough. Null: more than `most`.
SELECT CASE WHEN count(*) <= %(most)s THEN coalesce(array_agg(r.pfa_id), '{{}}') END
FROM pfa_mirror AS r
WHERE r.organization_id = %(organization_id)s
  AND {conditions};

-- name: few@rls
-- The same of the search alone: the function asks the index.
SELECT pfa_id FROM pfa_search(pfa_fold(%(search)s), %(most)s) AS f (pfa_id);

-- name: count_found
-- Where nothing else is asked for, what is found need not be read.
(SELECT count(*) FROM pfa_search(pfa_fold(%(search)s), NULL))

-- name: among_few
{where} AND r.pfa_id = ANY(%(found)s)

-- name: among_all
{where} AND r.pfa_id IN (SELECT pfa_search(pfa_fold(%(search)s), NULL))
