-- Sums for KPIs. {groups} and {conditions} are composed in store/reads/sums.py from constants. Baseline
-- rows come from the rollup where the filters allow it, without filters also from the sums by month or by field, and what the caller's overlays change about them from the sums
-- that are kept of it. Else they come from the mirror; the caller's touched records are then subtracted with their
-- mirror values and added with their merged ones.
-- Sums and moves are also by rate unit and currency, '' or null where a record names none: what they weigh
-- depends on the organization's settings and is computed in model/kpi.py. The columns are grouped as they are:
-- of an expression the planner expects two hundred values, and then aggregates a million records in one process.

-- name: rollup
SELECT {groups}
       r.rate_uom,
       r.currency,
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
       coalesce(sum(r.actual_purchase) FILTER (WHERE {counts_r}), 0),
       coalesce(sum(r.without_start) FILTER (WHERE {counts_r}), 0)::bigint,
       coalesce(sum(r.without_end) FILTER (WHERE {counts_r}), 0)::bigint,
       coalesce(sum(r.without_price) FILTER (WHERE r.source <> 'Purchase' AND {counts_r}), 0)::bigint,
       coalesce(sum(r.without_price) FILTER (WHERE r.source = 'Purchase' AND {counts_r}), 0)::bigint
FROM kpi_rollup AS r
WHERE r.organization_id = %(organization_id)s
  AND {conditions}
{grouping}

-- name: of_field
-- The same by a field of many values.
SELECT r.value,
       r.rate_uom,
       r.currency,
       r.record_count,
       r.actualized_count,
       r.discontinued_count,
       r.transferable_count,
       0::bigint,
       r.monthly_rental,
       r.purchase_cost,
       r.plan_rate_days,
       r.counted_purchase,
       r.forecast_rate_days,
       r.counted_purchase,
       r.actual_rate_days,
       r.actual_purchase,
       r.without_start,
       r.without_end,
       r.without_rate,
       r.without_price
FROM kpi_field AS r
WHERE r.organization_id = %(organization_id)s
  AND r.field = %(field)s

-- name: of_months
-- What begins and ends in each month, of all records: as `months`, which reads them.
SELECT r.rate_uom,
       r.currency,
       r.phase,
       nullif(r.month, ''),
       r.rate,
       r.rate_days_before,
       r.purchase,
       r.begun,
       r.gone,
       r.ending
FROM kpi_month AS r
WHERE r.organization_id = %(organization_id)s
  AND r.move_count <> 0

-- name: difference
-- What the caller's overlays add to that, of all filters that the rollup has. Each of them counts as a draft here.
SELECT {groups}
       r.rate_uom,
       r.currency,
       sum(r.record_count)::bigint,
       sum(r.actualized_count)::bigint,
       sum(r.discontinued_count)::bigint,
       sum(r.transferable_count)::bigint,
       sum(r.touched_count)::bigint,
       sum(r.monthly_rental),
       sum(r.purchase_cost),
       sum(r.plan_rate_days),
       sum(r.plan_purchase),
       sum(r.forecast_rate_days),
       sum(r.forecast_purchase),
       sum(r.actual_rate_days),
       sum(r.actual_purchase),
       sum(r.without_start)::bigint,
       sum(r.without_end)::bigint,
       sum(r.without_rate)::bigint,
       sum(r.without_price)::bigint
FROM kpi_overlay AS r
WHERE r.organization_id = %(organization_id)s
  AND r.user_id = %(user_id)s
  AND r.grain = %(grain)s
  AND {conditions}
{grouping}

-- name: pending
-- How many of them are not drafts. Each is looked up: they are few between a commit and the next push.
SELECT {groups}
       r.rate_uom,
       r.currency,
       count(*)
FROM pfa_modification AS m
CROSS JOIN LATERAL (
    SELECT *
    FROM pfa_overlay AS o
    WHERE o.organization_id = %(organization_id)s
      AND o.user_id = %(user_id)s
      AND o.pfa_id = m.pfa_id
    OFFSET 0) AS r
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.state IN ('committed', 'syncing', 'sync_error', 'conflict')
  AND m.version > 0
  AND r.modification_id = m.modification_id
  AND {conditions}
{grouping}

-- name: live
-- r has the values shown, p the mirror's own: a draft does not change the plan.
SELECT {groups}
       r.rate_uom,
       r.currency,
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
       coalesce(sum(r.purchase_price) FILTER (WHERE r.source = 'Purchase' AND r.has_actuals AND {counts_r}), 0),
       count(*) FILTER (WHERE r.forecast_start IS NULL AND r.source <> 'Purchase' AND {counts_r}),
       count(*) FILTER (WHERE r.forecast_end IS NULL AND r.source <> 'Purchase' AND {counts_r}),
       count(*) FILTER (WHERE r.monthly_rate IS NULL AND r.source <> 'Purchase' AND {counts_r}),
       count(*) FILTER (WHERE r.purchase_price IS NULL AND r.source = 'Purchase' AND {counts_r})
FROM {tables}
WHERE r.organization_id = %(organization_id)s
  AND {conditions}
{grouping}

-- name: months
-- What begins and ends in each month, by phase: from it the months' costs are made without a row for
-- every record and month (see model/months.py). The inner statement reads each record once and adds up
-- by day, the outer one by month; a null month has the purchases without a start date. The VALUES are
-- plain columns, since the executor initializes their expressions anew for every record.
SELECT {month_groups}
       d.rate_uom,
       d.currency,
       d.phase,
       left(d.day, 7),
       coalesce(sum(d.sign * d.rate), 0),
       coalesce(sum(d.sign * d.rate * (right(d.day, 2)::integer - 1)), 0),
       coalesce(sum(d.price), 0),
       coalesce(sum(d.spans) FILTER (WHERE d.sign > 0), 0)::bigint,
       coalesce(sum(d.spans) FILTER (WHERE d.sign < 0 AND right(d.day, 2) = '01'), 0)::bigint,
       coalesce(sum(d.spans) FILTER (WHERE d.sign < 0 AND right(d.day, 2) <> '01'), 0)::bigint
FROM (
    SELECT {day_groups}
           r.rate_uom,
           r.currency,
           e.phase,
           e.sign,
           e.day,
           sum({rate}) FILTER (WHERE {source} <> 'Purchase') AS rate,
           sum({price}) FILTER (WHERE e.sign > 0 AND {source} = 'Purchase') AS price,
           count(*) FILTER (WHERE e.days > 0) AS spans
    FROM {tables}
    CROSS JOIN LATERAL (VALUES
        ('plan', 1, p.original_start, p.plan_days),
        ('plan', -1, p.original_end, p.plan_days),
        ('forecast', 1, r.forecast_start, r.forecast_days),
        ('forecast', -1, r.forecast_end, r.forecast_days),
        ('actual', 1, r.actual_start, r.actual_days),
        ('actual', -1, r.actual_end, r.actual_days)) AS e (phase, sign, day, days)
    WHERE r.organization_id = %(organization_id)s
      AND {conditions}
      AND CASE WHEN e.phase = 'plan' THEN {counts_p} ELSE {counts_r} END
      AND (e.days > 0
           OR e.sign > 0 AND {source} = 'Purchase' AND (e.phase <> 'actual' OR r.has_actuals))
    GROUP BY {by_day}) AS d
GROUP BY {by_month}

-- name: of_phase
CASE WHEN e.phase = 'plan' THEN p.{column} ELSE r.{column} END

-- name: counts_r
NOT r.is_discontinued AND NOT r.is_funds_transferable

-- name: counts_p
NOT p.is_discontinued AND NOT p.is_funds_transferable

-- name: mirror
pfa_mirror AS r
CROSS JOIN LATERAL (SELECT r.original_start, r.original_end, r.plan_days,
                           r.monthly_rate, r.purchase_price, r.source,
                           r.is_discontinued, r.is_funds_transferable) AS p

-- name: touched_before
pfa_mirror AS r
JOIN pfa_overlay AS t
  ON t.organization_id = %(organization_id)s AND t.user_id = %(user_id)s AND t.pfa_id = r.pfa_id
CROSS JOIN LATERAL (SELECT r.original_start, r.original_end, r.plan_days,
                           r.monthly_rate, r.purchase_price, r.source,
                           r.is_discontinued, r.is_funds_transferable) AS p

-- name: touched_after
pfa_overlay AS r
JOIN pfa_mirror AS p ON p.organization_id = %(organization_id)s AND p.pfa_id = r.pfa_id

-- name: of_caller
r.user_id = %(user_id)s

-- name: count_drafts
count(*) FILTER (WHERE {are_drafts})

-- name: no_drafts
0::bigint
