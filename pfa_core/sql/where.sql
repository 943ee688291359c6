-- Parts of the conditions that an expression composes over a table called r: see store/reads/where.py.

-- name: pems_value
-- PEMS's own value beside an overlay row, by the primary key.
(SELECT {value}
 FROM pfa_mirror AS w
 WHERE w.organization_id = %(organization_id)s
   AND w.pfa_id = r.pfa_id)
