-- How far a replica has come. No tenant table is read here.

-- name: written
-- Where the server's log ends now: a transaction that has committed lies before. The first column tells servers with
-- another history apart.
SELECT s.system_identifier::text, pg_current_wal_insert_lsn()::text
FROM pg_control_system() AS s;

-- name: has
-- Whether this is a replica of that server, or the server itself, and has all before a place in its log.
SELECT s.system_identifier::text = %(system)s,
       coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
                >= %(place)s::pg_lsn, false)
FROM pg_control_system() AS s;

-- name: facts
-- For pfa doctor: the server's history, whether it is a replica, and how far it is.
SELECT s.system_identifier::text, pg_is_in_recovery(),
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text
FROM pg_control_system() AS s;

-- name: behind
-- How many bytes of log lie between two places.
SELECT greatest(pg_wal_lsn_diff(%(server)s::pg_lsn, %(replica)s::pg_lsn), 0)::bigint;
