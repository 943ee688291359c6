-- The register of issued tokens.

-- name: register
INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,
                       key_id, issued_at, issued_by, expires_at, replaces, revoked_at, revoked_by)
VALUES (%(organization_id)s, %(token_id)s, %(user_id)s, %(kind)s, %(role)s, %(rights)s, %(narrowed)s,
        %(organizations)s, %(key_id)s, %(issued_at)s, %(issued_by)s, %(expires_at)s, %(replaces)s,
        %(revoked_at)s, %(revoked_by)s);

-- name: register@rls
-- By a function with its owner's rights, which takes each value from the signed token.
SELECT pfa_register_token(%(token)s);

-- name: token
-- No row: a token from before the register, or not one of this organization. A time that Python cannot name is
-- the nearest that it can, here and below: a row like that is listed and revoked as any other.
SELECT organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
       least(greatest(issued_at, '0001-01-02Z'), '9999-12-30Z') AS issued_at, issued_by,
       least(greatest(expires_at, '0001-01-02Z'), '9999-12-30Z') AS expires_at, replaces,
       CASE WHEN revoked_at IS NOT NULL THEN least(greatest(revoked_at, '0001-01-02Z'), '9999-12-30Z') END
           AS revoked_at, revoked_by
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND token_id = %(token_id)s;

-- name: tokens
SELECT organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
       least(greatest(issued_at, '0001-01-02Z'), '9999-12-30Z') AS issued_at, issued_by,
       least(greatest(expires_at, '0001-01-02Z'), '9999-12-30Z') AS expires_at, replaces,
       CASE WHEN revoked_at IS NOT NULL THEN least(greatest(revoked_at, '0001-01-02Z'), '9999-12-30Z') END
           AS revoked_at, revoked_by
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND (%(active_at)s::timestamptz IS NULL
       OR (expires_at > %(active_at)s AND revoked_at IS NULL))
ORDER BY {order}
LIMIT %(limit)s

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
RETURNING token_id;

-- name: revoke@rls
-- The same by a function with its owner's rights.
SELECT * FROM pfa_revoke_tokens(%(token_ids)s::text[], %(user_id)s);

-- name: of_ids
SELECT organization_id, token_id, user_id, kind, role, rights, narrowed, organizations, key_id,
       least(greatest(issued_at, '0001-01-02Z'), '9999-12-30Z') AS issued_at, issued_by,
       least(greatest(expires_at, '0001-01-02Z'), '9999-12-30Z') AS expires_at, replaces,
       CASE WHEN revoked_at IS NOT NULL THEN least(greatest(revoked_at, '0001-01-02Z'), '9999-12-30Z') END
           AS revoked_at, revoked_by
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND token_id = ANY(%(token_ids)s::text[]);

-- name: count_outliving
SELECT count(*)
FROM pfa_token
WHERE organization_id = %(organization_id)s
  AND expires_at > %(until)s
  AND revoked_at IS NULL
  AND key_id = ANY(%(key_ids)s);
