-- The audit trail's chain: a link per transaction, each over the digest of the one before.
-- What is digested here must never change its form: existing links would not verify any more.

-- name: entry_digest
-- Of an entry e: every column, as a row's text, which distinguishes a missing value from an empty one and from
-- the null of JSON. The time is a number: as text it would depend on the time zone. `restores` is a field of
-- the row unless the reason, which is one, has the same entry: entries older than the column keep their digest,
-- and no other value of it has that digest. `base` is a field of the row where there is one, both are where there is
-- `was`.
sha256(convert_to(CASE
    WHEN e.was IS NOT NULL
    THEN ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action, e.pfa_id,
             e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason, e.link_id,
             e.restores, e.base, e.was)::text
    WHEN e.base IS NOT NULL
    THEN ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action, e.pfa_id,
             e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason, e.link_id,
             e.restores, e.base)::text
    WHEN e.restores::text IS NOT DISTINCT FROM CASE WHEN e.action = 'restore' THEN
        substring(e.reason FROM '^restores entry ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$')
    END
    THEN ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action, e.pfa_id,
             e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason, e.link_id)::text
    ELSE ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action, e.pfa_id,
             e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason, e.link_id,
             e.restores)::text
END, 'UTF8'))

-- name: link_facts
-- Of a link l: its facts beside its number and its digest.
sha256(convert_to(ROW(l.organization_id, l.link_id, l.entry_count,
                       extract(epoch FROM l.at))::text, 'UTF8') || l.content)

-- name: content
-- The link of the transaction's entries. No row: they were rolled back to a savepoint.
SELECT l.entry_count, l.at, l.content, {facts} AS facts, {archived} AS archived
FROM (
    SELECT e.organization_id, e.link_id, count(*)::integer AS entry_count, clock_timestamp() AS at,
           sha256(string_agg({digest}, ''::bytea ORDER BY e.entry_id)) AS content
    FROM audit_log AS e
    WHERE e.organization_id = %(organization_id)s
      AND e.link_id = %(link_id)s
      {entries}
    GROUP BY e.organization_id, e.link_id
) AS l;

-- name: archived
-- Whether the organization takes no changes: asked here, after all locks, it costs no statement of its own.
EXISTS (
    SELECT FROM pfa_organization AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.status = 'archived'
)

-- name: first
-- A single entry is the one that names the link: by its key the statement is planned once. Without it the planner
-- plans each time anew, since a link can have ten thousand entries.
AND e.entry_id = %(link_id)s

-- name: advance
-- The next number and digest; the organization's other writers wait from here to the transaction's end.
-- Only immutable functions touch the row: a distributed server refuses others here.
INSERT INTO audit_head AS h (organization_id, number, digest)
VALUES (%(organization_id)s, 1, sha256(int8send(1) || %(facts)s::bytea))
ON CONFLICT (organization_id) DO UPDATE
SET number = h.number + 1,
    digest = sha256(h.digest || int8send(h.number + 1) || %(facts)s::bytea)
RETURNING number, digest;

-- name: append
INSERT INTO audit_link (organization_id, number, link_id, entry_count, at, content, digest)
VALUES (%(organization_id)s, %(number)s, %(link_id)s, %(entry_count)s, %(at)s, %(content)s,
        %(digest)s);

-- name: append_under_rls
-- All of the above by a function with its owner's rights: no other role may write the chain.
SELECT pfa_append_link(%(organization_id)s);

-- name: head
-- No row: the organization's trail is empty.
SELECT number, digest
FROM audit_head
WHERE organization_id = %(organization_id)s;

-- name: checked
-- The links after a number, each computed again from its entries and from the digest stored before it.
--   same_content  the entries are those of the link; same_digest  the link's own facts are unchanged
SELECT l.number, l.link_id::text, l.entry_count, c.entry_count AS found, l.digest,
       coalesce(c.content = l.content, FALSE) AS same_content,
       l.digest = sha256(coalesce(lag(l.digest) OVER (ORDER BY l.number), %(digest)s)
                         || int8send(l.number) || {facts}) AS same_digest
FROM (
    SELECT l.organization_id, l.number, l.link_id, l.entry_count, l.at, l.content, l.digest
    FROM audit_link AS l
    WHERE l.organization_id = %(organization_id)s
      AND l.number > %(number)s
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

-- name: count
SELECT count(*)
FROM audit_log
WHERE organization_id = %(organization_id)s;

-- name: unlinked
-- Entries that belong to no link.
SELECT e.entry_id::text
FROM audit_log AS e
WHERE e.organization_id = %(organization_id)s
  AND NOT EXISTS (
      SELECT FROM audit_link AS l
      WHERE l.organization_id = %(organization_id)s
        AND l.link_id = e.link_id
  )
ORDER BY e.entry_id
LIMIT %(limit)s;

-- name: link_digest
-- No row: no link has that number.
SELECT digest
FROM audit_link
WHERE organization_id = %(organization_id)s
  AND number = %(number)s;
