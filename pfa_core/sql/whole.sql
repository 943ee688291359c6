-- A database as a whole: what a backup is made of, and what a restore goes into.

-- name: major
SELECT current_setting('server_version_num')::integer / 10000;

-- name: organizations
SELECT organization_id
FROM pfa_organization
ORDER BY organization_id;

-- name: has_organizations
-- Whether there is a table of organizations at all.
SELECT to_regclass('pfa_organization') IS NOT NULL;

-- name: others
-- Tables that are not of pfa, by name.
SELECT c.relname::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\_%%'
  AND c.relname NOT LIKE 'pfa\_%%'
  AND c.relname NOT LIKE 'audit\_%%'
  AND c.relname NOT LIKE 'kpi\_%%'
ORDER BY c.relname
LIMIT %(limit)s;

-- name: databases
-- Databases of an embedded server beside pfa's own, what every server begins with, and what the check of a backup left.
SELECT d.datname::text
FROM pg_database AS d
WHERE d.datname NOT IN ('pfa', 'postgres')
  AND NOT d.datistemplate
  AND d.datname !~ '^pfa_verify_[0-9]+_[0-9a-f]{12}$'
ORDER BY d.datname;

-- name: tables
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind = 'r'
ORDER BY c.relname;

-- name: clear
-- Drops tables and functions of pfa; the caller has found them to be empty.
DO $$
DECLARE
    one record;
BEGIN
    -- Sorted, each has its name before the first one goes and takes others with it.
    FOR one IN SELECT c.oid::regclass::text AS name FROM pg_class AS c
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
                 AND (c.relname LIKE 'pfa\_%' OR c.relname LIKE 'audit\_%' OR c.relname LIKE 'kpi\_%')
               ORDER BY 1 LOOP
        EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', one.name);
    END LOOP;
    FOR one IN SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'pfa\_%'
               ORDER BY 1 LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', one.name);
    END LOOP;
END $$;

-- name: owner_policies
-- PostgreSQL copies into no table whose policies apply, be they those that let the owner do everything. FORCE applies them
-- to the owner, NO FORCE does not.
DO $$
DECLARE
    one text;
BEGIN
    FOR one IN SELECT c.oid::regclass::text FROM pg_class AS c
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
                 AND (c.relname LIKE 'pfa\_%' OR c.relname LIKE 'audit\_%' OR c.relname LIKE 'kpi\_%') LOOP
        EXECUTE format('ALTER TABLE %s {force} ROW LEVEL SECURITY', one);
    END LOOP;
END $$;

-- name: index
SELECT pfa_index_mirror();

-- name: analyze
-- Every table; autovacuum comes a minute after a restore at the earliest.
ANALYZE;

-- name: session
SELECT pg_backend_pid();

-- name: abandoned
-- Databases of the role's that the check of a backup left: the session that made each, by its name, is gone.
SELECT d.datname::text
FROM pg_database AS d
WHERE d.datname ~ '^pfa_verify_[0-9]+_[0-9a-f]{12}$'
  AND pg_has_role(d.datdba, 'USAGE')
  AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid::text = split_part(d.datname::text, '_', 3));

-- name: make_role
-- Without it, what the dump grants to the role cannot be granted.
CREATE ROLE pfa_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION;

-- name: has_role
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pfa_app');
