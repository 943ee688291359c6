-- An organization on its way into a file and out of one.

-- name: columns
-- The columns that are written, in an order that does not depend on when they were added. No row: no such table.
SELECT a.attname::text
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%(table)s)
  AND a.attnum > 0
  AND NOT a.attisdropped
  AND a.attgenerated = ''
ORDER BY a.attname <> 'organization_id', a.attname COLLATE "C";

-- name: put_status
UPDATE pfa_organization
SET status = %(status)s
WHERE organization_id = %(organization_id)s;

-- name: status_before
-- What the organization was before it was archived last. No row: the trail does not say.
SELECT e.before ->> 'status'
FROM audit_log AS e
WHERE e.organization_id = %(organization_id)s
  AND e.action = 'configure'
  AND e.after ->> 'status' = 'archived'
ORDER BY e.at DESC, e.entry_id DESC
LIMIT 1;
