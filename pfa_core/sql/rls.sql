-- Row-level security from the program's side; the database's is in migrations/0001_schema.sql.

-- name: status
-- Whether there are policies for this role, and whether they bind it: the owner's policy allows everything,
-- a superuser bypasses all. Distributed tables have none: they are taken when the tables are distributed.
SELECT row_security_active(c.oid), row_security_active(c.oid) AND NOT pg_has_role(c.relowner, 'USAGE'),
       NOT c.relrowsecurity AND EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'citus')
FROM pg_class AS c
WHERE c.oid = to_regclass('pfa_mirror');

-- name: role
-- The role of the connection, for pfa doctor.
SELECT current_user::text, r.rolsuper, r.rolbypassrls, pg_has_role(c.relowner, 'USAGE'),
       c.relrowsecurity, has_schema_privilege(c.relnamespace, 'CREATE'),
       NOT c.relrowsecurity AND EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'citus')
FROM pg_class AS c, pg_roles AS r
WHERE c.oid = to_regclass('pfa_mirror') AND r.rolname = current_user;

-- name: authorize
-- No row: not a member.
SELECT organization_id, user_id, role, rights, granted_by, granted_at
FROM pfa_authorize(%(token)s, %(organization_id)s, %(scope)s, %(locking)s);

-- name: token_membership
-- No row: not a member.
SELECT (s.member).organization_id, (s.member).user_id, (s.member).role, (s.member).rights,
       (s.member).granted_by, (s.member).granted_at, s.token_revoked, s.key_ended
FROM pfa_token_status(%(token)s, %(organization_id)s) AS s;
