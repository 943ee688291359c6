-- Sums kept per user: what a user's overlays add to the sums of the mirror, by the dimensions of the rollup. The
-- plan is the mirror's own (m), counted where the merged record is; see `live` in sums.sql for the same formulas.
--
-- Whatever changes an overlay row or the mirror row under one posts the difference here, in its own statement or in
-- two around it. Rows of a user are of two sides, so that no transaction ever waits for another: those that the
-- user's own transactions post, which run one after the other behind the member row, and those of the mirror's
-- writers (of_mirror), which do behind the organization row. A total adds both sides up.

-- name: columns
-- What is posted of an overlay row.
o.user_id, o.pfa_id, o.category, o.class, o.source, o.dor, o.area_silo, o.is_actualized, o.is_discontinued,
           o.is_funds_transferable, o.rate_uom, o.currency, o.monthly_rate, o.purchase_price, o.forecast_start,
           o.forecast_end, o.forecast_days, o.actual_days, o.has_actuals

-- name: differences
-- What overlay rows add, or with the sign -1 what they no longer do: each record's merged values where it is
-- merged, less the mirror's where the mirror has it. In three grains, each by the category and a few other dimensions:
-- what is asked by one of them reads a few hundred rows, and a save writes few. See `_GRAINS` in store/reads/sums.py.
SELECT %(organization_id)s AS organization_id, s.user_id,
       CASE WHEN grouping(s.class) = 0 THEN 'class' WHEN grouping(s.area_silo) = 0 THEN 'area' ELSE 'flags' END AS grain,
       s.of_mirror, s.category, coalesce(s.class, '') AS class, coalesce(s.source_, '') AS source,
       coalesce(s.dor, '') AS dor, coalesce(s.area_silo, '') AS area_silo,
       coalesce(s.is_actualized, false) AS is_actualized, coalesce(s.is_discontinued, false) AS is_discontinued,
       coalesce(s.is_funds_transferable, false) AS is_funds_transferable, s.rate_uom, s.currency,
       coalesce(sum(s.record_count), 0)::bigint AS record_count,
       coalesce(sum(s.touched_count), 0)::bigint AS touched_count,
       coalesce(sum(s.actualized_count), 0)::bigint AS actualized_count,
       coalesce(sum(s.discontinued_count), 0)::bigint AS discontinued_count,
       coalesce(sum(s.transferable_count), 0)::bigint AS transferable_count,
       coalesce(sum(s.monthly_rental), 0) AS monthly_rental,
       coalesce(sum(s.purchase_cost), 0) AS purchase_cost,
       coalesce(sum(s.plan_rate_days), 0) AS plan_rate_days,
       coalesce(sum(s.plan_purchase), 0) AS plan_purchase,
       coalesce(sum(s.forecast_rate_days), 0) AS forecast_rate_days,
       coalesce(sum(s.forecast_purchase), 0) AS forecast_purchase,
       coalesce(sum(s.actual_rate_days), 0) AS actual_rate_days,
       coalesce(sum(s.actual_purchase), 0) AS actual_purchase,
       coalesce(sum(s.without_start), 0)::bigint AS without_start,
       coalesce(sum(s.without_end), 0)::bigint AS without_end,
       coalesce(sum(s.without_rate), 0)::bigint AS without_rate,
       coalesce(sum(s.without_price), 0)::bigint AS without_price
FROM (
    WITH pair AS (
        SELECT o.*,
               m.category AS m_category, m.class AS m_class, m.source AS m_source, m.dor AS m_dor,
               m.area_silo AS m_area_silo, m.is_actualized AS m_is_actualized,
               m.is_discontinued AS m_is_discontinued, m.is_funds_transferable AS m_is_funds_transferable,
               m.rate_uom AS m_rate_uom, m.currency AS m_currency, m.monthly_rate AS m_monthly_rate,
               m.purchase_price AS m_purchase_price, m.forecast_start AS m_forecast_start,
               m.forecast_end AS m_forecast_end, m.forecast_days AS m_forecast_days,
               m.actual_days AS m_actual_days, m.has_actuals AS m_has_actuals,
               o.source <> 'Purchase' AS rents, o.source = 'Purchase' AS buys,
               m.source <> 'Purchase' AS m_rents, m.source = 'Purchase' AS m_buys,
               NOT o.is_discontinued AND NOT o.is_funds_transferable AS counts,
               NOT m.is_discontinued AND NOT m.is_funds_transferable AS m_counts,
               m.plan_days AS m_plan_days,
               (o.category, o.class, o.source, o.dor, o.area_silo, o.is_actualized, o.is_discontinued,
                o.is_funds_transferable, o.rate_uom, o.currency)
                   IS NOT DISTINCT FROM
               (m.category, m.class, m.source, m.dor, m.area_silo, m.is_actualized, m.is_discontinued,
                m.is_funds_transferable, m.rate_uom, m.currency) AS stays
        FROM (
            {rows}
        ) AS o
        -- Each is looked up: of a join the planner that expects one row of each compares all with all.
        CROSS JOIN LATERAL (
            SELECT * FROM pfa_mirror AS m
            WHERE m.organization_id = %(organization_id)s AND m.pfa_id = o.pfa_id
            OFFSET 0) AS m
    )
    SELECT p.user_id, p.of_mirror, coalesce(p.category, '') AS category, coalesce(p.class, '') AS class,
           coalesce(p.source, '') AS source_, coalesce(p.dor, '') AS dor, coalesce(p.area_silo, '') AS area_silo,
           p.is_actualized, p.is_discontinued, p.is_funds_transferable,
           coalesce(p.rate_uom, '') AS rate_uom, coalesce(p.currency, '') AS currency,
           p.sign AS record_count, p.sign AS touched_count,
           CASE WHEN p.is_actualized THEN p.sign END AS actualized_count,
           CASE WHEN p.is_discontinued THEN p.sign END AS discontinued_count,
           CASE WHEN p.is_funds_transferable THEN p.sign END AS transferable_count,
           CASE WHEN p.rents THEN p.sign * p.monthly_rate END AS monthly_rental,
           CASE WHEN p.buys THEN p.sign * p.purchase_price END AS purchase_cost,
           CASE WHEN p.m_rents AND p.m_counts THEN p.sign * p.m_plan_days * p.m_monthly_rate END AS plan_rate_days,
           CASE WHEN p.m_buys AND p.m_counts THEN p.sign * p.m_purchase_price END AS plan_purchase,
           CASE WHEN p.rents AND p.counts THEN p.sign * p.forecast_days * p.monthly_rate END AS forecast_rate_days,
           CASE WHEN p.buys AND p.counts THEN p.sign * p.purchase_price END AS forecast_purchase,
           CASE WHEN p.rents AND p.counts THEN p.sign * p.actual_days * p.monthly_rate END AS actual_rate_days,
           CASE WHEN p.buys AND p.counts AND p.has_actuals THEN p.sign * p.purchase_price END AS actual_purchase,
           CASE WHEN p.rents AND p.counts AND p.forecast_start IS NULL THEN p.sign END AS without_start,
           CASE WHEN p.rents AND p.counts AND p.forecast_end IS NULL THEN p.sign END AS without_end,
           CASE WHEN p.rents AND p.counts AND p.monthly_rate IS NULL THEN p.sign END AS without_rate,
           CASE WHEN p.buys AND p.counts AND p.purchase_price IS NULL THEN p.sign END AS without_price
    FROM pair AS p
    WHERE NOT p.stays
    UNION ALL
    SELECT p.user_id, p.of_mirror, coalesce(p.m_category, ''), coalesce(p.m_class, ''),
           coalesce(p.m_source, ''), coalesce(p.m_dor, ''), coalesce(p.m_area_silo, ''),
           p.m_is_actualized, p.m_is_discontinued, p.m_is_funds_transferable,
           coalesce(p.m_rate_uom, ''), coalesce(p.m_currency, ''),
           -p.sign, NULL,
           CASE WHEN p.m_is_actualized THEN -p.sign END,
           CASE WHEN p.m_is_discontinued THEN -p.sign END,
           CASE WHEN p.m_is_funds_transferable THEN -p.sign END,
           CASE WHEN p.m_rents THEN -p.sign * p.m_monthly_rate END,
           CASE WHEN p.m_buys THEN -p.sign * p.m_purchase_price END,
           CASE WHEN p.m_rents AND p.m_counts THEN -p.sign * p.m_plan_days * p.m_monthly_rate END,
           CASE WHEN p.m_buys AND p.m_counts THEN -p.sign * p.m_purchase_price END,
           CASE WHEN p.m_rents AND p.m_counts THEN -p.sign * p.m_forecast_days * p.m_monthly_rate END,
           CASE WHEN p.m_buys AND p.m_counts THEN -p.sign * p.m_purchase_price END,
           CASE WHEN p.m_rents AND p.m_counts THEN -p.sign * p.m_actual_days * p.m_monthly_rate END,
           CASE WHEN p.m_buys AND p.m_counts AND p.m_has_actuals THEN -p.sign * p.m_purchase_price END,
           CASE WHEN p.m_rents AND p.m_counts AND p.m_forecast_start IS NULL THEN -p.sign END,
           CASE WHEN p.m_rents AND p.m_counts AND p.m_forecast_end IS NULL THEN -p.sign END,
           CASE WHEN p.m_rents AND p.m_counts AND p.m_monthly_rate IS NULL THEN -p.sign END,
           CASE WHEN p.m_buys AND p.m_counts AND p.m_purchase_price IS NULL THEN -p.sign END
    FROM pair AS p
    WHERE NOT p.stays
    UNION ALL
    -- A record that stays in its groups, as most do, is one row of what differs. What does not is null, which a sum
    -- passes over.
    SELECT p.user_id, p.of_mirror, coalesce(p.category, ''), coalesce(p.class, ''),
           coalesce(p.source, ''), coalesce(p.dor, ''), coalesce(p.area_silo, ''),
           p.is_actualized, p.is_discontinued, p.is_funds_transferable,
           coalesce(p.rate_uom, ''), coalesce(p.currency, ''),
           NULL, p.sign, NULL, NULL, NULL,
           CASE WHEN p.rents AND p.monthly_rate IS DISTINCT FROM p.m_monthly_rate
                THEN p.sign * (coalesce(p.monthly_rate, 0) - coalesce(p.m_monthly_rate, 0)) END,
           CASE WHEN p.buys AND p.purchase_price IS DISTINCT FROM p.m_purchase_price
                THEN p.sign * (coalesce(p.purchase_price, 0) - coalesce(p.m_purchase_price, 0)) END,
           NULL, NULL,
           CASE WHEN p.rents AND p.counts
                     AND (p.forecast_days, p.monthly_rate) IS DISTINCT FROM (p.m_forecast_days, p.m_monthly_rate)
                THEN p.sign * (coalesce(p.forecast_days * p.monthly_rate, 0)
                               - coalesce(p.m_forecast_days * p.m_monthly_rate, 0)) END,
           CASE WHEN p.buys AND p.counts AND p.purchase_price IS DISTINCT FROM p.m_purchase_price
                THEN p.sign * (coalesce(p.purchase_price, 0) - coalesce(p.m_purchase_price, 0)) END,
           CASE WHEN p.rents AND p.counts
                     AND (p.actual_days, p.monthly_rate) IS DISTINCT FROM (p.m_actual_days, p.m_monthly_rate)
                THEN p.sign * (coalesce(p.actual_days * p.monthly_rate, 0)
                               - coalesce(p.m_actual_days * p.m_monthly_rate, 0)) END,
           CASE WHEN p.buys AND p.counts
                     AND (p.has_actuals, p.purchase_price) IS DISTINCT FROM (p.m_has_actuals, p.m_purchase_price)
                THEN p.sign * (CASE WHEN p.has_actuals THEN coalesce(p.purchase_price, 0) ELSE 0 END
                               - CASE WHEN p.m_has_actuals THEN coalesce(p.m_purchase_price, 0) ELSE 0 END) END,
           CASE WHEN p.rents AND p.counts AND (p.forecast_start IS NULL) <> (p.m_forecast_start IS NULL)
                THEN CASE WHEN p.forecast_start IS NULL THEN p.sign ELSE -p.sign END END,
           CASE WHEN p.rents AND p.counts AND (p.forecast_end IS NULL) <> (p.m_forecast_end IS NULL)
                THEN CASE WHEN p.forecast_end IS NULL THEN p.sign ELSE -p.sign END END,
           CASE WHEN p.rents AND p.counts AND (p.monthly_rate IS NULL) <> (p.m_monthly_rate IS NULL)
                THEN CASE WHEN p.monthly_rate IS NULL THEN p.sign ELSE -p.sign END END,
           CASE WHEN p.buys AND p.counts AND (p.purchase_price IS NULL) <> (p.m_purchase_price IS NULL)
                THEN CASE WHEN p.purchase_price IS NULL THEN p.sign ELSE -p.sign END END
    FROM pair AS p
    WHERE p.stays
) AS s
GROUP BY s.user_id, s.of_mirror, s.category, s.rate_uom, s.currency,
         GROUPING SETS ((s.class), (s.area_silo),
                        (s.source_, s.dor, s.is_actualized, s.is_discontinued, s.is_funds_transferable))

-- name: add
-- Adds rows of sums to those that are kept.
INSERT INTO kpi_overlay AS k (
    organization_id, user_id, grain, of_mirror, category, class, source, dor, area_silo,
    is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency,
    record_count, touched_count, actualized_count, discontinued_count, transferable_count,
    monthly_rental, purchase_cost, plan_rate_days, plan_purchase,
    forecast_rate_days, forecast_purchase, actual_rate_days, actual_purchase,
    without_start, without_end, without_rate, without_price)
{sums}
ON CONFLICT (organization_id, user_id, grain, of_mirror, category, class, source, dor, area_silo,
             is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency) DO UPDATE
SET record_count = k.record_count + EXCLUDED.record_count,
    touched_count = k.touched_count + EXCLUDED.touched_count,
    actualized_count = k.actualized_count + EXCLUDED.actualized_count,
    discontinued_count = k.discontinued_count + EXCLUDED.discontinued_count,
    transferable_count = k.transferable_count + EXCLUDED.transferable_count,
    monthly_rental = k.monthly_rental + EXCLUDED.monthly_rental,
    purchase_cost = k.purchase_cost + EXCLUDED.purchase_cost,
    plan_rate_days = k.plan_rate_days + EXCLUDED.plan_rate_days,
    plan_purchase = k.plan_purchase + EXCLUDED.plan_purchase,
    forecast_rate_days = k.forecast_rate_days + EXCLUDED.forecast_rate_days,
    forecast_purchase = k.forecast_purchase + EXCLUDED.forecast_purchase,
    actual_rate_days = k.actual_rate_days + EXCLUDED.actual_rate_days,
    actual_purchase = k.actual_purchase + EXCLUDED.actual_purchase,
    without_start = k.without_start + EXCLUDED.without_start,
    without_end = k.without_end + EXCLUDED.without_end,
    without_rate = k.without_rate + EXCLUDED.without_rate,
    without_price = k.without_price + EXCLUDED.without_price

-- name: of_sums
-- What changes no sum is not written.
SELECT *
FROM (
{differences}
) AS d
WHERE (d.record_count, d.touched_count, d.actualized_count, d.discontinued_count, d.transferable_count,
       d.monthly_rental, d.purchase_cost, d.plan_rate_days, d.plan_purchase, d.forecast_rate_days,
       d.forecast_purchase, d.actual_rate_days, d.actual_purchase, d.without_start, d.without_end,
       d.without_rate, d.without_price)
      <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

-- name: post
-- from: add(sums = of_sums(differences = differences))

-- name: given
-- A row of sums as the client gives it.
(%s::text, %s::text, %s::text, %s::boolean, %s::text, %s::text, %s::text, %s::text, %s::text,
 %s::boolean, %s::boolean, %s::boolean, %s::text, %s::text,
 %s::bigint, %s::bigint, %s::bigint, %s::bigint, %s::bigint,
 %s::numeric, %s::numeric, %s::numeric, %s::numeric, %s::numeric, %s::numeric, %s::numeric, %s::numeric,
 %s::bigint, %s::bigint, %s::bigint, %s::bigint)

-- name: replaced
-- Of the rows that were found, those that the statement has written anew.
old AS (
    SELECT f.*
    FROM found AS f
    WHERE ((f.user_id, f.pfa_id) IN (SELECT w.user_id, w.pfa_id FROM written AS w)) IS TRUE
)

-- name: replacing
SELECT -1 AS sign, false AS of_mirror, o.* FROM old AS o
            UNION ALL
            SELECT 1, false, o.* FROM written AS o

-- name: removed
SELECT -1 AS sign, false AS of_mirror, o.* FROM gone AS o

-- name: of_users
SELECT 1 AS sign, false AS of_mirror, {columns}
            FROM pfa_overlay AS o
            WHERE o.organization_id = %(organization_id)s
              AND o.user_id = ANY(%(users)s::text[])

-- name: of_all
SELECT 1 AS sign, false AS of_mirror, {columns}
            FROM pfa_overlay AS o
            WHERE o.organization_id = %(organization_id)s

-- name: all_differences
-- from: of_sums(differences = differences(rows = of_all(columns = columns)))

-- name: post_all
-- Of a database that has none yet.
-- from: add(sums = all_differences)

-- name: clear_users
DELETE FROM kpi_overlay
WHERE organization_id = %(organization_id)s
  AND user_id = ANY(%(users)s::text[]);

-- name: post_users
-- from: add(sums = of_sums(differences = differences(rows = of_users(columns = columns))))

-- name: recompute
-- The sums of some users, computed anew.
-- by: manage_settings
-- mirror:
-- steps: clear_users, post_users

-- name: taken_back
SELECT g.organization_id, g.user_id, g.grain, false, g.category, g.class, g.source, g.dor, g.area_silo,
       g.is_actualized, g.is_discontinued, g.is_funds_transferable, g.rate_uom, g.currency,
       -g.record_count, -g.touched_count, -g.actualized_count, -g.discontinued_count, -g.transferable_count,
       -g.monthly_rental, -g.purchase_cost, -g.plan_rate_days, -g.plan_purchase,
       -g.forecast_rate_days, -g.forecast_purchase, -g.actual_rate_days, -g.actual_purchase,
       -g.without_start, -g.without_end, -g.without_rate, -g.without_price
FROM kpi_overlay AS g
WHERE g.organization_id = %(organization_id)s
  AND g.user_id = %(user_id)s
  AND g.of_mirror

-- name: of_gone
SELECT g.organization_id, g.user_id, g.grain, false, g.category, g.class, g.source, g.dor, g.area_silo,
       g.is_actualized, g.is_discontinued, g.is_funds_transferable, g.rate_uom, g.currency,
       g.record_count, g.touched_count, g.actualized_count, g.discontinued_count, g.transferable_count,
       g.monthly_rental, g.purchase_cost, g.plan_rate_days, g.plan_purchase,
       g.forecast_rate_days, g.forecast_purchase, g.actual_rate_days, g.actual_purchase,
       g.without_start, g.without_end, g.without_rate, g.without_price
FROM gone AS g
WHERE true

-- name: gather
-- from: add(sums = of_gone)
-- What the mirror's writers have posted goes to the user's own side, of the users who write nothing at this moment:
-- their member rows are locked, as their own transactions do. None is waited for.
WITH idle AS (
    SELECT b.user_id
    FROM pfa_member AS b
    WHERE b.organization_id = %(organization_id)s
      AND b.user_id IN (SELECT k.user_id
                        FROM kpi_overlay AS k
                        WHERE k.organization_id = %(organization_id)s AND k.of_mirror)
    ORDER BY b.user_id
    FOR NO KEY UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM kpi_overlay AS k
    USING idle AS i
    WHERE k.organization_id = %(organization_id)s
      AND k.of_mirror
      AND k.user_id = i.user_id
    RETURNING k.*
)

-- name: nothing
(k.record_count, k.touched_count, k.actualized_count, k.discontinued_count, k.transferable_count,
       k.monthly_rental, k.purchase_cost, k.plan_rate_days, k.plan_purchase, k.forecast_rate_days,
       k.forecast_purchase, k.actual_rate_days, k.actual_purchase, k.without_start, k.without_end,
       k.without_rate, k.without_price)
      = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

-- name: own
-- Sums of nothing change no figure and would accumulate.
DELETE FROM kpi_overlay AS k
WHERE k.organization_id = %(organization_id)s
  AND k.user_id = %(user_id)s
  AND NOT k.of_mirror
  AND {nothing}

-- name: of_idle
DELETE FROM kpi_overlay AS k
WHERE k.organization_id = %(organization_id)s
  AND {nothing}
  AND k.user_id IN (
      SELECT b.user_id
      FROM pfa_member AS b
      WHERE b.organization_id = %(organization_id)s
      ORDER BY b.user_id
      FOR NO KEY UPDATE SKIP LOCKED)

-- name: prune_own
-- by: save_draft, commit, manage_users, manage_settings; admins
-- from: own(nothing = nothing)

-- name: prune_idle
-- from: of_idle(nothing = nothing)

-- name: gather_sums
-- by: sync, refresh_data, import
-- mirror:
-- steps: gather, prune_idle after gather
