-- The oldest links of the audit trail on their way into a file, and out of the database.

-- name: archives
-- What each archive is said to hold, by the entries of the trail.
SELECT e.after
FROM audit_log AS e
WHERE e.organization_id = %(organization_id)s
  AND e.action = 'archive';

-- name: clock
-- The database's clock, which the times of links are of.
SELECT clock_timestamp();

-- name: first_from
-- The first link that is not older than a time. No row: all are.
SELECT number
FROM audit_link
WHERE organization_id = %(organization_id)s
  AND number > %(after)s
  AND at >= %(before)s
ORDER BY number
LIMIT 1;

-- name: extent
-- How many links and entries some links are.
SELECT count(*), coalesce(sum(entry_count), 0)
FROM audit_link
WHERE organization_id = %(organization_id)s
  AND number > %(after)s
  AND number <= %(last)s;

-- name: lines
-- Links with their entries as lines of JSON, each link before its entries. Columns that are null are left out; those of
-- JSON are the last ones and keep their text, since the digests are over it.
SELECT u.line
FROM (
    SELECT l.number, NULL::uuid AS entry_id,
           format('{"link": %%s, "linkId": "%%s", "entries": %%s, "at": "%%s", "digest": "%%s"}', l.number, l.link_id,
                  l.entry_count, to_char(l.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                  encode(l.digest, 'hex')) AS line
    FROM audit_link AS l
    WHERE l.organization_id = %(organization_id)s
      AND l.number > %(after)s
      AND l.number <= %(last)s
    UNION ALL
    SELECT l.number, e.entry_id,
           concat('{"entryId": "', e.entry_id,
                  '", "at": "', to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                  '", "userId": ', to_json(e.user_id), ', "action": ', to_json(e.action),
                  ', "pfaId": ' || to_json(e.pfa_id)::text,
                  ', "modificationId": "' || e.modification_id || '"',
                  ', "sessionId": ' || to_json(e.session_id)::text,
                  ', "runId": "' || e.run_id || '"',
                  ', "reason": ' || to_json(e.reason)::text,
                  ', "restores": "' || e.restores || '"',
                  ', "before": ' || e.before::text, ', "after": ' || e.after::text,
                  ', "base": ' || e.base::text, ', "was": ' || e.was::text, '}') AS line
    FROM audit_link AS l
    JOIN audit_log AS e ON e.organization_id = %(organization_id)s AND e.link_id = l.link_id
    WHERE l.organization_id = %(organization_id)s
      AND l.number > %(after)s
      AND l.number <= %(last)s
) AS u
ORDER BY u.number, u.entry_id NULLS FIRST;

-- name: hold
-- Who archives the same link waits here, and finds afterwards that it is archived.
SELECT number
FROM audit_link
WHERE organization_id = %(organization_id)s
  AND number = %(number)s
FOR UPDATE;

-- name: needed
-- Which of the links up to a number something still needs: entries of changes that are not settled, or were settled
-- after the time, since a restore and an undo look for what PEMS took since; entries that a later one takes back or
-- restores, which leads to more; ended memberships, which mark tokens; what an organization was; and the archives.
WITH RECURSIVE referred AS (
    SELECT e.restores AS entry_id
    FROM audit_log AS e
    JOIN audit_link AS l ON l.organization_id = %(organization_id)s AND l.link_id = e.link_id
    WHERE e.organization_id = %(organization_id)s
      AND e.restores IS NOT NULL
      AND l.number > %(last)s
    UNION
    SELECT e.restores
    FROM referred AS r
    JOIN audit_log AS e ON e.organization_id = %(organization_id)s AND e.entry_id = r.entry_id
    WHERE e.restores IS NOT NULL
)
SELECT DISTINCT l.number
FROM audit_log AS e
JOIN audit_link AS l ON l.organization_id = %(organization_id)s AND l.link_id = e.link_id
WHERE e.organization_id = %(organization_id)s
  AND l.number <= %(last)s
  AND (e.action IN ('revoke', 'configure', 'archive')
       OR e.entry_id IN (SELECT r.entry_id FROM referred AS r)
       OR e.modification_id IN (
           SELECT m.modification_id
           FROM pfa_modification AS m
           WHERE m.organization_id = %(organization_id)s
             AND (m.state <> 'synced' OR m.synced_at >= %(before)s)))
ORDER BY l.number;

-- name: remove_entries
DELETE FROM audit_log AS e
USING audit_link AS l
WHERE e.organization_id = %(organization_id)s
  AND l.organization_id = %(organization_id)s
  AND l.link_id = e.link_id
  AND l.number > %(after)s
  AND l.number <= %(last)s
  AND l.number <> ALL(%(kept)s::bigint[]);

-- name: remove_links
DELETE FROM audit_link
WHERE organization_id = %(organization_id)s
  AND number > %(after)s
  AND number <= %(last)s
  AND number <> ALL(%(kept)s::bigint[]);

-- name: kept
-- Links up to a number, each with its facts and whether its entries are those of it.
SELECT l.number, l.link_id::text, l.entry_count, c.entry_count AS found, l.digest, {facts} AS facts,
       coalesce(c.content = l.content, FALSE) AS same_content
FROM (
    SELECT l.organization_id, l.number, l.link_id, l.entry_count, l.at, l.content, l.digest
    FROM audit_link AS l
    WHERE l.organization_id = %(organization_id)s
      AND l.number > %(after)s
      AND l.number <= %(last)s
    ORDER BY l.number
    LIMIT %(limit)s
) AS l
CROSS JOIN LATERAL (
    SELECT count(*) AS entry_count,
           sha256(string_agg({digest}, ''::bytea ORDER BY e.entry_id)) AS content
    FROM audit_log AS e
    WHERE e.organization_id = %(organization_id)s
      AND e.link_id = l.link_id
) AS c
ORDER BY l.number;
