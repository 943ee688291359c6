-- The pages of pulls that are not complete: which records they have brought so far.

-- name: list
SELECT row_offset, row_count, last_id
FROM pfa_pull_page
WHERE organization_id = %(organization_id)s
  AND run_id = %(run_id)s
ORDER BY row_offset;

-- name: add
-- by: refresh_data, import
-- unless: NOT pfa_holds_lease(%(organization_id)s, 'pull', %(run_id)s)
-- A page that is read again, because rows shifted, keeps what it had brought before.
INSERT INTO pfa_pull_page AS p (organization_id, run_id, row_offset, row_count, last_id, ids)
VALUES (%(organization_id)s, %(run_id)s, %(row_offset)s, %(row_count)s, %(last_id)s, %(ids)s)
ON CONFLICT (organization_id, run_id, row_offset) DO UPDATE
SET row_count = EXCLUDED.row_count,
    last_id = EXCLUDED.last_id,
    ids = p.ids || EXCLUDED.ids;

-- name: inherit
-- by: refresh_data, import
-- unless: NOT pfa_holds_lease(%(organization_id)s, 'pull', %(run_id)s)
-- A run that continues an interrupted one takes its pages over.
UPDATE pfa_pull_page
SET run_id = %(run_id)s
WHERE organization_id = %(organization_id)s
  AND run_id = %(earlier)s;

-- name: drop
-- by: refresh_data, import
-- unless: NOT pfa_holds_lease(%(organization_id)s, 'pull', NULL)
-- Pages of other runs, or of all: no run continues behind them any more.
DELETE FROM pfa_pull_page
WHERE organization_id = %(organization_id)s
  AND (%(keep)s::uuid IS NULL OR run_id <> %(keep)s);
