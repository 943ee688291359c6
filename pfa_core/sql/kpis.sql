-- Sums for KPIs. {groups} and {conditions} are composed in store/kpis.py from constants. Baseline
-- rows come from the rollup where the filters allow it, else from the mirror; the caller's touched
-- records are then taken out with their mirror values and put back with their merged ones.

-- name: rollup
SELECT {groups}
       sum(r.record_count)::bigint,
       coalesce(sum(r.record_count) FILTER (WHERE r.is_actualized), 0)::bigint,
       coalesce(sum(r.record_count) FILTER (WHERE r.is_discontinued), 0)::bigint,
       coalesce(sum(r.record_count) FILTER (WHERE r.is_funds_transferable), 0)::bigint,
       0::bigint,
       sum(r.monthly_rental),
       sum(r.purchase_cost),
       coalesce(sum(r.plan_rate_days) FILTER (WHERE {counts_r}), 0),
       coalesce(sum(r.purchase_cost) FILTER (WHERE {counts_r}), 0),
       coalesce(sum(r.forecast_rate_days) FILTER (WHERE {counts_r}), 0),
       coalesce(sum(r.purchase_cost) FILTER (WHERE {counts_r}), 0),
       coalesce(sum(r.actual_rate_days) FILTER (WHERE {counts_r}), 0),
       coalesce(sum(r.actual_purchase) FILTER (WHERE {counts_r}), 0)
FROM kpi_rollup AS r
WHERE r.organization_id = %(organization_id)s
  AND {conditions}
{grouping}

-- name: live
-- r holds the values shown, p the mirror's own: no draft moves the plan.
SELECT {groups}
       count(*),
       count(*) FILTER (WHERE r.is_actualized),
       count(*) FILTER (WHERE r.is_discontinued),
       count(*) FILTER (WHERE r.is_funds_transferable),
       {drafts},
       coalesce(sum(r.monthly_rate) FILTER (WHERE r.source <> 'Purchase'), 0),
       coalesce(sum(r.purchase_price) FILTER (WHERE r.source = 'Purchase'), 0),
       coalesce(sum(p.plan_days * p.monthly_rate) FILTER (WHERE p.source <> 'Purchase' AND {counts_p}), 0),
       coalesce(sum(p.purchase_price) FILTER (WHERE p.source = 'Purchase' AND {counts_p}), 0),
       coalesce(sum(r.forecast_days * r.monthly_rate) FILTER (WHERE r.source <> 'Purchase' AND {counts_r}), 0),
       coalesce(sum(r.purchase_price) FILTER (WHERE r.source = 'Purchase' AND {counts_r}), 0),
       coalesce(sum(r.actual_days * r.monthly_rate) FILTER (WHERE r.source <> 'Purchase' AND {counts_r}), 0),
       coalesce(sum(r.purchase_price) FILTER (WHERE r.source = 'Purchase' AND r.has_actuals AND {counts_r}), 0)
FROM {tables}
WHERE r.organization_id = %(organization_id)s
  AND {conditions}
{grouping}

-- name: counts_r
NOT r.is_discontinued AND NOT r.is_funds_transferable

-- name: counts_p
NOT p.is_discontinued AND NOT p.is_funds_transferable

-- name: mirror
pfa_mirror AS r
CROSS JOIN LATERAL (SELECT r.plan_days, r.monthly_rate, r.purchase_price, r.source,
                           r.is_discontinued, r.is_funds_transferable) AS p

-- name: touched_before
pfa_mirror AS r
JOIN pfa_overlay AS t
  ON t.organization_id = %(organization_id)s AND t.user_id = %(user_id)s AND t.pfa_id = r.pfa_id
CROSS JOIN LATERAL (SELECT r.plan_days, r.monthly_rate, r.purchase_price, r.source,
                           r.is_discontinued, r.is_funds_transferable) AS p

-- name: touched_after
pfa_overlay AS r
JOIN pfa_mirror AS p ON p.organization_id = %(organization_id)s AND p.pfa_id = r.pfa_id

-- name: of_caller
r.user_id = %(user_id)s

-- name: narrowing_before
(%(states)s::text[] IS NULL OR t.state = ANY(%(states)s))
  AND (%(sessions)s::text[] IS NULL OR t.session_id = ANY(%(sessions)s))

-- name: narrowing_after
(%(states)s::text[] IS NULL OR r.state = ANY(%(states)s))
  AND (%(sessions)s::text[] IS NULL OR r.session_id = ANY(%(sessions)s))

-- name: count_drafts
count(*) FILTER (WHERE r.state = 'draft')

-- name: no_drafts
0::bigint
