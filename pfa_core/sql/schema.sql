-- Which migrations the database has.

-- name: has_migrations
SELECT to_regclass('pfa_schema_migration') IS NOT NULL;

-- name: elsewhere
-- A schema that has pfa's tables, though the session's search_path does not lead to them. No row: there is none.
SELECT n.nspname::text, current_setting('search_path'), current_user::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = 'pfa_schema_migration' AND c.relkind = 'r'
ORDER BY n.nspname
LIMIT 1;

-- name: newest
-- 0: the migrations from before the first release, which counted on their own.
SELECT CASE WHEN bool_or(name = '0001_foundation.sql') THEN 0 ELSE max(version) END
FROM pfa_schema_migration;

-- name: lock
-- Not waited for here: any role that may connect can hold it, and who does is to be named.
SELECT pg_try_advisory_lock(%(key)s);

-- name: lock_within
-- The same until the transaction ends.
SELECT pg_try_advisory_xact_lock(%(key)s);

-- name: unlock
SELECT pg_advisory_unlock(%(key)s);

-- name: hold
-- Every writing transaction reads this table first (sql/outcome.sql): behind the lock none is under way, and the next
-- one reads what the migration recorded. For a second at most, since commands that begin wait behind this one.
SET LOCAL lock_timeout = '1s';
LOCK TABLE pfa_schema_migration IN ACCESS EXCLUSIVE MODE;
-- What the migration itself waits for, keeps all commands waiting.
SET LOCAL lock_timeout = '60s';

-- name: writer
-- The session whose transaction keeps it from that, the longest first.
SELECT a.pid, a.usename::text, a.application_name, coalesce(a.xact_start, a.backend_start)
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.relation = 'pfa_schema_migration'::regclass
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND l.granted
  AND l.pid <> pg_backend_pid()
ORDER BY a.xact_start NULLS LAST, a.pid
LIMIT 1;

-- name: encoding
SELECT current_setting('server_encoding');

-- name: create
CREATE TABLE IF NOT EXISTS pfa_schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL
);

-- name: applied
SELECT version, checksum FROM pfa_schema_migration ORDER BY version;

-- name: forget
-- The history from before the first release, when another takes its place.
DELETE FROM pfa_schema_migration;

-- name: record
INSERT INTO pfa_schema_migration (version, name, checksum, applied_at)
VALUES (%(version)s, %(name)s, %(checksum)s, clock_timestamp());

-- name: size
SELECT pg_database_size(current_database()), current_setting('server_version');

-- name: allow_app_login
ALTER ROLE pfa_app LOGIN;

-- name: app_may_log_in
SELECT rolcanlogin FROM pg_roles WHERE rolname = 'pfa_app';

-- name: has_role
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pfa_app');
