-- What became of a transaction whose COMMIT was not answered. No tenant table is read here.

-- name: begin
-- The first statements of a writing transaction, sent together. A process that is suspended within it must not keep its locks.
-- Its id is assigned now, so that it is known before the COMMIT. The counters of a server begin anew when it
-- recovers from a crash, which may give the id of a transaction that was lost to another one.
SET LOCAL idle_in_transaction_session_timeout = '60s';
SELECT pg_current_xact_id()::text,
       concat_ws(' ', pg_postmaster_start_time(),
                 (SELECT w.stats_reset FROM pg_stat_wal AS w)),
       pg_backend_pid();

-- name: ask
-- committed, aborted, in progress; null: another server, one that has recovered, or an id too old. Then whether the
-- server is a coordinator of others: they commit what is theirs before it does, so that its abort says nothing of them.
SELECT CASE
    WHEN concat_ws(' ', pg_postmaster_start_time(),
                   (SELECT w.stats_reset FROM pg_stat_wal AS w)) = %(server)s
    THEN pg_xact_status(%(xid)s::xid8)
END, current_setting('citus.version', true) <> '';

-- name: end
-- The session of a transaction that is still in progress although its client is gone: it holds locks, and
-- whether it commits is not known before it ends. A role may end its own sessions.
SELECT pg_terminate_backend(a.pid)
FROM pg_stat_activity AS a
WHERE a.pid = %(pid)s
  AND a.backend_xid = %(xid)s::xid8::xid
  AND a.usename = current_user;
