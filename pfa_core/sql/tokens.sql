-- The register of issued tokens.

-- name: register
INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,
                       key_id, issued_at, issued_by, expires_at, replaces, revoked_at, revoked_by)
VALUES (%(organization_id)s, %(token_id)s, %(user_id)s, %(kind)s, %(role)s, %(rights)s, %(narrowed)s,
        %(organizations)s, %(key_id)s, %(issued_at)s, %(issued_by)s, %(expires_at)s, %(replaces)s,
        %(revoked_at)s, %(revoked_by)s);

-- name: token
-- No row: a token from before the register, or not one of this organization.
SELECT organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
       issued_at, issued_by, expires_at, replaces, revoked_at, revoked_by
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND token_id = %(token_id)s;

-- name: tokens
-- The newest first.
SELECT organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
       issued_at, issued_by, expires_at, replaces, revoked_at, revoked_by
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND (%(active_at)s::timestamptz IS NULL
       OR (expires_at > %(active_at)s AND revoked_at IS NULL))
ORDER BY issued_at DESC, token_id DESC
LIMIT %(limit)s;

-- name: revoke
-- A token that has ended stays as it is.
UPDATE pfa_token
SET revoked_at = %(at)s,
    revoked_by = %(by)s
WHERE organization_id = %(organization_id)s
  AND revoked_at IS NULL
  AND expires_at > %(at)s
  AND (%(token_ids)s::text[] IS NULL OR token_id = ANY(%(token_ids)s::text[]))
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
RETURNING organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
          issued_at, issued_by, expires_at, replaces, revoked_at, revoked_by;

-- name: count_outliving
SELECT count(*)
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND expires_at > %(until)s
  AND revoked_at IS NULL
  AND key_id = ANY(%(key_ids)s);
