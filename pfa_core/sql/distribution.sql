-- Distribution of the tables over the nodes of a Citus cluster. No statement here is about one organization.

-- name: has_extension
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus');

-- name: facts
-- Of the session: whether it is on the coordinator, owns the tables, and finds them in the schema that every node
-- looks in. One that has no node yet is the coordinator of those that it gets.
SELECT citus_is_coordinator() OR NOT EXISTS (SELECT FROM pg_dist_node), pg_has_role(c.relowner, 'USAGE'), c.relnamespace::regnamespace::text,
       (SELECT count(*) FROM pg_dist_node AS n WHERE n.noderole = 'primary' AND n.isactive AND n.shouldhaveshards)
FROM pg_class AS c
WHERE c.oid = 'pfa_mirror'::regclass;

-- name: placed
-- The tables of a list that are distributed or on every node, and with which they lie.
SELECT c.relname::text, CASE p.partmethod WHEN 'n' THEN 'reference' ELSE 'distributed' END, p.colocationid,
       column_to_column_name(p.logicalrelid, p.partkey)
FROM pg_dist_partition AS p
JOIN pg_class AS c ON c.oid = p.logicalrelid
WHERE c.relname = ANY (%(tables)s)
  AND c.relnamespace = (SELECT m.relnamespace FROM pg_class AS m WHERE m.oid = to_regclass('pfa_mirror'))
  AND (p.partmethod = 'h' OR (p.partmethod = 'n' AND p.repmodel = 't'))
ORDER BY c.relname;

-- name: sequential
-- Of several connections to one node within a transaction one would not see what another has made.
SET LOCAL citus.multi_shard_modify_mode TO 'sequential';

-- name: shards
-- Of each table that the transaction distributes.
SET LOCAL citus.shard_count TO {shards};

-- name: lift
-- What distributed tables cannot have: policies that ask a function, and triggers.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT p.tablename, p.policyname FROM pg_policies AS p
               WHERE p.schemaname = current_schema()
                 AND (p.tablename LIKE 'pfa\_%' OR p.tablename LIKE 'audit\_%' OR p.tablename LIKE 'kpi\_%')
               ORDER BY p.tablename, p.policyname LOOP
        EXECUTE format('DROP POLICY %I ON %I', one.policyname, one.tablename);
    END LOOP;
    FOR one IN SELECT c.relname FROM pg_class AS c
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity
                 AND (c.relname LIKE 'pfa\_%' OR c.relname LIKE 'audit\_%' OR c.relname LIKE 'kpi\_%')
               ORDER BY c.relname LOOP
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', one.relname);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', one.relname);
    END LOOP;
    IF EXISTS (SELECT FROM pg_trigger AS t
               WHERE t.tgrelid = 'audit_expected'::regclass AND t.tgname = 'audit_expected_is_met') THEN
        DROP TRIGGER audit_expected_is_met ON audit_expected;
    END IF;
END $$;

-- name: index
-- Before the tables are distributed: an index of a distributed one is made on every shard.
SELECT pfa_index_mirror();

-- name: functions
-- What rows are computed and checked by, wherever they are written; those that are there already are left.
SELECT count(create_distributed_function(p.oid::regprocedure))
FROM pg_proc AS p
WHERE p.pronamespace = current_schema()::regnamespace
  AND p.proname LIKE 'pfa\_%%'
  AND p.provolatile = 'i'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_object AS o
                  WHERE o.classid = 'pg_proc'::regclass AND o.objid = p.oid);

-- name: reference
SELECT create_reference_table(%(table)s::regclass);

-- name: distribute
SELECT create_distributed_table(%(table)s::regclass, 'organization_id', colocate_with => %(with)s);

-- name: empty
-- The rows are in the shards now; those that were here before would stay, and be read by none.
SELECT truncate_local_data_after_distributing_table(%(table)s::regclass);

-- name: grants
-- No policy and no function guards what the role writes here: the program sends the statements themselves. The trail
-- and its chain take no change of what is there, but for the end of the chain.
GRANT INSERT, UPDATE, DELETE ON pfa_member, kpi_rollup, kpi_overlay, kpi_month, kpi_field, pfa_pull_page, pfa_lease,
    pfa_modification, pfa_overlay, pfa_view, pfa_digest, pfa_sync_log, pfa_sync_outcome, pfa_sync_conflict TO pfa_app;
GRANT INSERT, UPDATE ON pfa_mirror, pfa_token, audit_head TO pfa_app;
GRANT INSERT ON pfa_mirror_history, audit_log, audit_link TO pfa_app;
GRANT UPDATE (currency, rate_uom, foreign_currency, max_records, max_money, max_percent)
    ON pfa_organization TO pfa_app;
GRANT SELECT ON audit_expected TO pfa_app;
GRANT EXECUTE ON FUNCTION pfa_reserve_mirror(), pfa_row_checks(), pfa_bad_rows_of(text), pfa_drop_bad_rows_of(text)
    TO pfa_app;

-- name: nodes
SELECT n.nodename::text, n.nodeport, n.groupid, n.isactive, n.shouldhaveshards,
       (SELECT count(*) FROM pg_dist_placement AS p
        JOIN pg_dist_shard AS s USING (shardid)
        WHERE p.groupid = n.groupid AND s.logicalrelid = to_regclass('pfa_organization'))
FROM pg_dist_node AS n
WHERE n.noderole = 'primary'
ORDER BY n.groupid;

-- name: health
-- Nodes that another one does not reach. Of what a node that is not reached would say nothing is known.
SELECT h.to_nodename::text, h.to_nodeport
FROM citus_check_cluster_node_health() AS h
WHERE h.result IS FALSE
GROUP BY h.to_nodename, h.to_nodeport
ORDER BY h.to_nodename, h.to_nodeport;

-- name: size
SELECT coalesce(sum(citus_total_relation_size(p.logicalrelid)), 0)::bigint
FROM pg_dist_partition AS p
JOIN pg_class AS c ON c.oid = p.logicalrelid
WHERE c.relname = ANY (%(tables)s);

-- name: lacking
-- Tables into which the session's role may not write although the program does.
SELECT t.name
FROM unnest(%(tables)s::text[]) AS t (name)
WHERE NOT has_table_privilege(t.name, 'INSERT')
ORDER BY t.name;
