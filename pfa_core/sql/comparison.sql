-- Received records beside the mirror's, before they are written. pfa_incoming holds those that are new or
-- different. {counts}, {candidate} and {zone_of_…} are composed in store/comparison.py.

-- name: older
-- Records whose version of PEMS may be older than the mirror's. The last column: nothing else differs.
SELECT i.pfa_id, i.data ->> 'pemsVersion', m.data ->> 'pemsVersion',
       i.data - %(stamps)s::text[] = m.data - %(stamps)s::text[]
FROM pfa_incoming AS i
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id
WHERE {candidate}
ORDER BY i.pfa_id;

-- name: candidate
-- Whether the received version may be the older one; model/pems_version.py decides. Times of one zone that differ
-- by a second or more have the order of their texts, counts of as many digits too. A record without a version is
-- older than none: the zone of no text would be another one than that of any text.
(i.data ->> 'pemsVersion' IS NOT NULL AND m.data ->> 'pemsVersion' IS NOT NULL
 AND ((i.data ->> 'pemsVersion') COLLATE "C" < (m.data ->> 'pemsVersion')
      OR length(i.data ->> 'pemsVersion') < length(m.data ->> 'pemsVersion')
      OR (right(i.data ->> 'pemsVersion', 1) <> 'Z' OR right(m.data ->> 'pemsVersion', 1) <> 'Z')
         AND {zone_of_theirs} <> {zone_of_held}))

-- name: zone
-- The zone at the end of a time; empty where it has none.
CASE WHEN right({text}, 1) = 'Z' THEN 'Z'
     WHEN left(right({text}, 6), 1) IN ('+', '-') THEN right({text}, 6)
     WHEN left(right({text}, 5), 1) IN ('+', '-') THEN right({text}, 5)
     WHEN left(right({text}, 3), 1) IN ('+', '-') THEN right({text}, 3)
     ELSE '' END

-- name: drop
DELETE FROM pfa_incoming
WHERE pfa_id = ANY(%(ids)s);

-- name: emptied
-- The changed records, those of them that may be older, those that lose a field unknown to the program, and for
-- each field how many have a value in the mirror and none in what was received.
SELECT count(*),
       count(*) FILTER (WHERE {candidate}),
       count(*) FILTER (WHERE m.data - %(known)s::text[] <> '{{}}'
                          AND NOT i.data ?& ARRAY(SELECT jsonb_object_keys(m.data - %(known)s::text[]))),
       {counts}
FROM pfa_incoming AS i
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id;

-- name: holders
-- How many records of the mirror have a value of each field.
SELECT {counts}
FROM pfa_mirror AS m
WHERE m.organization_id = %(organization_id)s;

-- name: new_fields
-- Those of the names that no changed record has in the mirror. None where no record changed.
SELECT n.name
FROM pfa_incoming AS i
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id
CROSS JOIN unnest(%(names)s::text[]) AS n (name)
GROUP BY n.name
HAVING bool_or(i.data ? n.name)
   AND NOT bool_or(m.data ? n.name)
ORDER BY n.name;

-- name: lost_fields
-- The fields unknown to the program that changed records lose. Asked only where there are any.
SELECT DISTINCT k.name
FROM pfa_incoming AS i
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id
CROSS JOIN LATERAL jsonb_object_keys(m.data - %(known)s::text[]) AS k (name)
WHERE NOT i.data ? k.name
ORDER BY k.name;
