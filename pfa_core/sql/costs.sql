-- The costs of single records beside a table called r, in money-days (money x 213.08 days), exactly: what is divided
-- and rounded is in model/costs.py, as for sums. What a record costs is what sums.sql adds up of it.

-- name: kinds
-- The rate units and currencies of the organization's records, '' where a record names none. The rollup has each;
-- neither can be changed by a draft.
SELECT DISTINCT rate_uom, currency
FROM kpi_rollup
WHERE organization_id = %(organization_id)s

-- name: plan_of_mirror
CROSS JOIN LATERAL (SELECT r.plan_days, r.monthly_rate, r.purchase_price, r.source,
                           r.is_discontinued, r.is_funds_transferable) AS p

-- name: plan_of_overlay
-- The plan is PEMS's own: by the primary key.
JOIN pfa_mirror AS p ON p.organization_id = %(organization_id)s AND p.pfa_id = r.pfa_id

-- name: amounts
-- Null: the record is left out of costs. One that counts and lacks a value costs 0.
CROSS JOIN LATERAL (
    SELECT (%(weights)s::jsonb -> coalesce(r.rate_uom, '') ->> coalesce(r.currency, ''))::numeric AS weight) AS x
CROSS JOIN LATERAL (
    SELECT CASE WHEN x.weight IS NULL OR NOT ({counts_p}) THEN NULL
                WHEN p.source = 'Purchase' THEN coalesce(p.purchase_price, 0) * 213.08
                ELSE coalesce(p.plan_days * p.monthly_rate, 0) * x.weight END AS plan_cost,
           CASE WHEN x.weight IS NULL OR NOT ({counts_r}) THEN NULL
                WHEN r.source = 'Purchase' THEN coalesce(r.purchase_price, 0) * 213.08
                ELSE coalesce(r.forecast_days * r.monthly_rate, 0) * x.weight END AS forecast_cost,
           CASE WHEN x.weight IS NULL OR NOT ({counts_r}) THEN NULL
                WHEN r.source = 'Purchase' THEN
                    CASE WHEN r.has_actuals THEN coalesce(r.purchase_price, 0) * 213.08 ELSE 0 END
                ELSE coalesce(r.actual_days * r.monthly_rate, 0) * x.weight END AS actual_cost) AS c
CROSS JOIN LATERAL (
    SELECT c.plan_cost, c.forecast_cost, c.actual_cost,
           CASE WHEN c.plan_cost IS NOT NULL OR c.forecast_cost IS NOT NULL
                THEN coalesce(c.forecast_cost, 0) - coalesce(c.plan_cost, 0) END AS variance) AS k

-- name: counts
NOT {table}.is_discontinued AND NOT {table}.is_funds_transferable
