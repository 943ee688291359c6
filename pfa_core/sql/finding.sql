-- Free text behind the wall: see store/finding.py.

-- name: few_found
-- Ids of the mirror's records that a search finds, one more than `most` where there are so many.
SELECT pfa_id FROM pfa_found(pfa_fold(%(search)s), %(most)s) AS f (pfa_id);

-- name: count_found
-- Where nothing else is asked for, what is found need not be read.
(SELECT count(*) FROM pfa_found(pfa_fold(%(search)s), NULL))

-- name: among_few
{where} AND r.pfa_id = ANY(%(found)s)

-- name: among_all
{where} AND r.pfa_id IN (SELECT pfa_found(pfa_fold(%(search)s), NULL))
