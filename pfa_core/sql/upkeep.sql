-- What a database needs from those who run it: room, vacuums, statistics, archives.

-- name: tables
-- Rows that are left for a vacuum, and what was never vacuumed or analyzed. A table without statistics counts its rows
-- by the planner's estimate.
SELECT c.relname::text AS name, greatest(s.n_live_tup, c.reltuples, 0)::bigint AS rows, s.n_dead_tup AS dead,
       pg_total_relation_size(c.oid) AS bytes,
       coalesce(s.last_vacuum, s.last_autovacuum) IS NOT NULL AS vacuumed,
       coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL OR c.reltuples > 0 AS analyzed,
       NOT coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) AS o
                     WHERE o.option_name = 'autovacuum_enabled'), true) AS excluded
FROM unnest(%(tables)s::text[]) AS t (name)
JOIN pg_class AS c ON c.oid = to_regclass(t.name)
JOIN pg_stat_all_tables AS s ON s.relid = c.oid
ORDER BY s.n_dead_tup DESC, c.relname;

-- name: server
-- How old the oldest transaction is that is not frozen; the server takes no writes before two thousand million.
SELECT current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean,
       age(d.datfrozenxid)::bigint, current_setting('autovacuum_freeze_max_age')::bigint
FROM pg_database AS d
WHERE d.datname = current_database();

-- name: growth
-- An organization's entries, and versions of its records that were replaced, by month; at most `most` of each.
SELECT to_char(m.begins AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
       (SELECT count(*)
        FROM (SELECT e.at FROM audit_log AS e
              WHERE e.organization_id = %(organization_id)s AND e.at >= m.begins AND e.at < m.ends
              LIMIT %(most)s) AS n) AS entries,
       (SELECT count(*)
        FROM (SELECT h.replaced_at FROM pfa_mirror_history AS h
              WHERE h.organization_id = %(organization_id)s AND h.replaced_at >= m.begins AND h.replaced_at < m.ends
              LIMIT %(most)s) AS n) AS versions
FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) AS m (begins, ends)
ORDER BY m.begins DESC;

-- name: sizes
SELECT pg_total_relation_size('audit_log') + pg_total_relation_size('audit_link'),
       pg_total_relation_size('pfa_mirror_history');
