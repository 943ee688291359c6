-- What the planner knows of the tables, renewed after bulk writes.

-- name: renew
SELECT pfa_renew_statistics(%(written)s, %(within)s);

-- name: renew@rls
-- Only the tables' owner may analyze them.
SELECT pfa_analyze_written(%(written)s, %(within)s);

-- name: unknown
-- Large tables of which nothing is known: those of a restored dump. A plan for a small one is right by its size.
SELECT t.name
FROM unnest(%(tables)s::text[]) AS t (name)
JOIN pg_class AS c ON c.oid = to_regclass(t.name)
WHERE c.reltuples < 0
  AND pg_relation_size(c.oid) > 1000000
ORDER BY t.name;
