-- What a client asks about its own session, from another one. No tenant table is read here.

-- name: at_work
-- Whether the session of a client that waits for an answer is at work on it. One that waits for its client is
-- not, nor one that is gone. Behind a pooler, where even this session's id is another one, any session of the
-- role may be the client's. The age tells a later session with the same process id apart.
SELECT EXISTS (
    SELECT FROM pg_stat_activity AS a
    WHERE (a.pid = %(pid)s OR %(own)s <> pg_backend_pid() AND a.application_name = 'pfa')
      AND a.pid <> pg_backend_pid()
      AND a.usename = current_user
      AND a.datname = current_database()
      AND a.backend_start < clock_timestamp() - make_interval(secs => %(waited)s)
      AND a.wait_event_type IS DISTINCT FROM 'Client'
);

-- name: has_workers
SELECT to_regclass('pg_catalog.citus_stat_activity') IS NOT NULL;

-- name: at_work_on_workers
-- Whether a worker is at work for the session: while its coordinator waits for one, its own state is that of a session
-- that waits for its client. The number of a session in the cluster is that of its node before its process.
SELECT EXISTS (
    SELECT FROM citus_stat_activity AS a
    WHERE a.is_worker_query
      AND (a.global_pid = citus_backend_gpid() - pg_backend_pid() + %(pid)s OR %(own)s <> pg_backend_pid())
      AND a.global_pid <> citus_backend_gpid()
      AND a.usename = current_user
      AND a.datname = current_database()
      AND a.state = 'active'
      AND a.wait_event_type IS DISTINCT FROM 'Client'
);

-- name: holder
-- The session that keeps another one waiting for a lock, the longest transaction first. No row: none does. Behind a
-- pooler the id is not that of the session. What other roles' sessions do is not shown, nor since when.
SELECT a.pid, a.usename::text, a.application_name, coalesce(a.xact_start, a.backend_start)
FROM unnest(pg_blocking_pids(%(pid)s)) AS b (pid)
JOIN pg_stat_activity AS a ON a.pid = b.pid
WHERE %(own)s = pg_backend_pid()
ORDER BY a.xact_start NULLS LAST, a.pid
LIMIT 1;

-- name: holder_of_key
-- The session that holds an advisory lock of this database.
SELECT a.pid, a.usename::text, a.application_name, coalesce(a.xact_start, a.backend_start)
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
  AND l.granted
  AND l.classid = 0 AND l.objid = %(key)s::bigint AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
LIMIT 1;

-- name: let_go
-- End the session that waits for a client which has given it up. A role may end its own sessions.
SELECT pg_terminate_backend(a.pid)
FROM pg_stat_activity AS a
WHERE a.pid = %(pid)s
  AND %(own)s = pg_backend_pid()
  AND a.usename = current_user
  AND a.datname = current_database()
  AND a.backend_start < clock_timestamp() - make_interval(secs => %(waited)s)
  AND a.wait_event_type = 'Client';
