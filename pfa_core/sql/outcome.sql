-- What became of a transaction whose COMMIT was not answered.

-- name: begin
-- The first statements of a writing transaction, sent together. A process that is suspended within it must not keep its locks.
-- Its id is assigned now, so that it is known before the COMMIT. The counters of a server begin anew when it
-- recovers from a crash, which may give the id of a transaction that was lost to another one.
SET LOCAL idle_in_transaction_session_timeout = '60s';
SELECT pg_current_xact_id()::text,
       concat_ws(' ', pg_postmaster_start_time(),
                 (SELECT w.stats_reset FROM pg_stat_wal AS w)),
       pg_backend_pid();

-- name: schema
-- The schema that the transaction writes into, which stays the same until it ends: an upgrade waits for it. A statement
-- of its own, since a coordinator of others may have one that reads a table answered by another server.
SELECT max(version) FROM pfa_schema_migration;

-- name: ask
-- committed, aborted, in progress; null: another server, one that has recovered, or an id too old. Then whether the
-- server is a coordinator of others: they commit what is theirs before it does, so that its abort says nothing of them.
SELECT CASE
    WHEN concat_ws(' ', pg_postmaster_start_time(),
                   (SELECT w.stats_reset FROM pg_stat_wal AS w)) = %(server)s
    THEN pg_xact_status(%(xid)s::xid8)
END, current_setting('citus.version', true) <> '';

-- name: is_spread
-- Whether the server is a coordinator of others.
SELECT coalesce(current_setting('citus.version', true), '') <> '';

-- name: wait_a_second
SET LOCAL lock_timeout = '1s';

-- name: hold_end
-- Who writes into the trail holds the end of its chain until their transaction has ended on its node: behind this lock
-- what the trail has of it is all that it will have. No row: the organization has no trail yet, and nothing is known.
SELECT number
FROM audit_head
WHERE organization_id = %(organization_id)s
FOR NO KEY UPDATE;

-- name: has_entry
SELECT EXISTS (
    SELECT FROM audit_log
    WHERE organization_id = %(organization_id)s
      AND entry_id = %(entry_id)s);

-- name: end
-- The session of a transaction that is still in progress although its client is gone: it holds locks, and
-- whether it commits is not known before it ends. A role may end its own sessions.
SELECT pg_terminate_backend(a.pid)
FROM pg_stat_activity AS a
WHERE a.pid = %(pid)s
  AND a.backend_xid = %(xid)s::xid8::xid
  AND a.usename = current_user;
