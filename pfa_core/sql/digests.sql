-- The digests of texts that records were read from. One counts as long as its record's row is the one that it was
-- noted for: of the same version, written by the same transaction. Whatever writes the row lets the digest count
-- for nothing, without knowing of it. A record that is missing has to be found again, and so is read.

-- name: expected
-- About how many records the organization has, without reading them.
SELECT coalesce(sum(record_count), 0)::bigint
FROM kpi_rollup
WHERE organization_id = %(organization_id)s;

-- name: load
-- The digests that count, one behind the other, with the number of their records and the sum of their versions; at
-- most sixteen rows for each shape, so that none becomes large. One row for the records without such a digest.
SELECT d.shape, d.unknown, string_agg(d.digest, ''::bytea), count(*), sum(m.version)::bigint
FROM pfa_mirror AS m
LEFT JOIN pfa_digest AS d
  ON d.organization_id = %(organization_id)s
 AND d.pfa_id = m.pfa_id
 AND d.version = m.version
 AND d.writer = m.xmin
 AND m.missing_since IS NULL
WHERE m.organization_id = %(organization_id)s
GROUP BY d.shape, d.unknown, get_byte(d.digest, 0) / 16;

-- name: state
-- The number of records and the sum of their versions: equal while no other transaction changes one.
SELECT count(*), coalesce(sum(version), 0)::bigint
FROM pfa_mirror
WHERE organization_id = %(organization_id)s;

-- name: count_received
-- The received records that the mirror has.
SELECT count(*)
FROM pfa_incoming AS i
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id;

-- name: of_received
-- Those of the received records.
SELECT coalesce(string_agg(d.digest, ''::bytea), ''::bytea)
FROM pfa_incoming AS i
JOIN pfa_digest AS d ON d.organization_id = %(organization_id)s AND d.pfa_id = i.pfa_id
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = i.pfa_id
WHERE m.version = d.version
  AND m.xmin = d.writer
  AND m.missing_since IS NULL;

-- name: still
-- The records among those given whose digest counts.
SELECT d.pfa_id
FROM unnest(%(given)s::text[], %(digests)s::bytea[]) AS g (pfa_id, digest)
JOIN pfa_digest AS d ON d.organization_id = %(organization_id)s AND d.pfa_id = g.pfa_id AND d.digest = g.digest
JOIN pfa_mirror AS m ON m.organization_id = %(organization_id)s AND m.pfa_id = d.pfa_id
WHERE m.version = d.version
  AND m.xmin = d.writer
  AND m.missing_since IS NULL;
