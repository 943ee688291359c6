-- Saved views: a user's own, and those shared with the organization, which have no user.

-- name: views
-- Of a name the user's own first.
SELECT name, user_id, content, created_by, created_at, updated_by, updated_at
FROM pfa_view
WHERE organization_id = %(organization_id)s
  AND user_id IN ('', %(user_id)s)
ORDER BY name, user_id DESC;

-- name: named
-- Both of a name at most, the user's own first. No row: there is none.
SELECT name, user_id, content, created_by, created_at, updated_by, updated_at
FROM pfa_view
WHERE organization_id = %(organization_id)s
  AND user_id IN ('', %(user_id)s)
  AND name = %(name)s
ORDER BY user_id DESC;

-- name: put_own
-- by: read
-- trail: view_save
-- unless: %(user_id)s LIKE 'service:%%'
-- No row: the user has so many already.
INSERT INTO pfa_view AS v (organization_id, user_id, name, content, created_by, created_at, updated_by, updated_at)
SELECT %(organization_id)s, %(user_id)s, %(name)s, %(content)s, %(owner)s, %(at)s, %(owner)s, %(at)s
WHERE (SELECT count(*) FROM pfa_view AS o
       WHERE o.organization_id = %(organization_id)s
         AND o.user_id = %(user_id)s) < 200
   OR EXISTS (
       SELECT FROM pfa_view AS o
       WHERE o.organization_id = %(organization_id)s
         AND o.user_id = %(user_id)s
         AND o.name = %(name)s)
ON CONFLICT (organization_id, user_id, name) DO UPDATE
SET content = EXCLUDED.content,
    updated_by = EXCLUDED.updated_by,
    updated_at = EXCLUDED.updated_at;

-- name: put_shared
-- by: save_draft
-- trail: view_save
-- No row: the organization has so many already, or it is another author's. Who administers writes in the author's name: a
-- distributed server takes no parameter in the condition of an update, and counts what it returns, not what it wrote.
INSERT INTO pfa_view AS v (organization_id, user_id, name, content, created_by, created_at, updated_by, updated_at)
SELECT %(organization_id)s::text, '', %(name)s::text, %(content)s,
       coalesce((SELECT o.created_by FROM pfa_view AS o
                 WHERE o.organization_id = %(organization_id)s
                   AND o.user_id = ''
                   AND o.name = %(name)s
                   AND %(administers)s), %(owner)s::text),
       %(at)s, %(owner)s::text, %(at)s
WHERE (SELECT count(*) FROM pfa_view AS o
       WHERE o.organization_id = %(organization_id)s
         AND o.user_id = '') < 500
   OR EXISTS (
       SELECT FROM pfa_view AS o
       WHERE o.organization_id = %(organization_id)s
         AND o.user_id = ''
         AND o.name = %(name)s)
ON CONFLICT (organization_id, user_id, name) DO UPDATE
SET content = EXCLUDED.content,
    updated_by = EXCLUDED.updated_by,
    updated_at = EXCLUDED.updated_at
WHERE v.created_by = EXCLUDED.created_by
RETURNING name;

-- name: delete_own
-- by: read
-- trail: view_delete
-- unless: %(user_id)s LIKE 'service:%%'
-- No row: there is none.
DELETE FROM pfa_view
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND name = %(name)s;

-- name: delete_shared
-- by: save_draft
-- trail: view_delete
-- No row: there is none, or it is another author's.
DELETE FROM pfa_view
WHERE organization_id = %(organization_id)s
  AND user_id = ''
  AND name = %(name)s
  AND (created_by = %(owner)s OR %(administers)s);
