-- Sums of the mirror that are kept beside the rollup: what begins and ends in each month, and the KPIs by fields of many
-- values. {rows} are those of mirror.sql, called m; with the sign -1 they are subtracted. The statement that posts the
-- rollup posts these too. See `months` and `live` in sums.sql for the same formulas.
--
-- An organization has both whole, or neither: then they are read from the records. While an empty mirror is filled in
-- portions there are none, since each portion would write a row for each of its contracts; they are made of all at the end.

-- name: moves
-- Each phase's days are read by themselves and added up by day first: of a list of six events for each record the
-- executor initializes the expressions anew for every record, which takes twice as long. A purchase whose start is not
-- a day counts as one without a start.
SELECT d.organization_id, d.phase,
       CASE WHEN d.spans > 0 OR d.day ~ '^[0-9]{{4}}-[0-9]{{2}}' THEN left(d.day, 7) ELSE '' END AS month,
       coalesce(d.rate_uom, '') AS rate_uom, coalesce(d.currency, '') AS currency,
       %(sign)s * sum(d.moves)::bigint AS move_count,
       %(sign)s * coalesce(sum(d.sign * d.rate), 0) AS rate,
       %(sign)s * coalesce(sum(d.sign * d.rate
           * CASE WHEN d.rate IS NOT NULL THEN substr(d.day, 9)::integer - 1 END), 0) AS rate_days_before,
       %(sign)s * coalesce(sum(d.price), 0) AS purchase,
       %(sign)s * coalesce(sum(d.spans) FILTER (WHERE d.sign > 0), 0)::bigint AS begun,
       %(sign)s * coalesce(sum(d.spans) FILTER (WHERE d.sign < 0 AND right(d.day, 2) = '01'), 0)::bigint AS gone,
       %(sign)s * coalesce(sum(d.spans) FILTER (WHERE d.sign < 0 AND right(d.day, 2) <> '01'), 0)::bigint AS ending
FROM (
    WITH r AS MATERIALIZED (
        SELECT m.organization_id, m.rate_uom, m.currency, m.original_start, m.original_end, m.plan_days,
               m.forecast_start, m.forecast_end, m.forecast_days, m.actual_start, m.actual_end, m.actual_days,
               m.source = 'Purchase' AS is_bought, m.has_actuals,
               CASE WHEN m.source <> 'Purchase' THEN m.monthly_rate END AS rate,
               CASE WHEN m.source = 'Purchase' THEN m.purchase_price END AS price
        FROM {rows}
          AND NOT m.is_discontinued AND NOT m.is_funds_transferable
    )
    SELECT r.organization_id, 'plan' AS phase, 1 AS sign, r.original_start AS day, r.rate_uom, r.currency,
           sum(r.rate) AS rate, sum(r.price) AS price, count(*) FILTER (WHERE r.plan_days > 0) AS spans,
           count(*) AS moves
    FROM r
    WHERE r.plan_days > 0 OR r.is_bought
    GROUP BY r.organization_id, r.original_start, r.rate_uom, r.currency
    UNION ALL
    SELECT r.organization_id, 'plan', -1, r.original_end, r.rate_uom, r.currency, sum(r.rate), NULL, count(*), count(*)
    FROM r
    WHERE r.plan_days > 0
    GROUP BY r.organization_id, r.original_end, r.rate_uom, r.currency
    UNION ALL
    SELECT r.organization_id, 'forecast', 1, r.forecast_start, r.rate_uom, r.currency, sum(r.rate), sum(r.price),
           count(*) FILTER (WHERE r.forecast_days > 0), count(*)
    FROM r
    WHERE r.forecast_days > 0 OR r.is_bought
    GROUP BY r.organization_id, r.forecast_start, r.rate_uom, r.currency
    UNION ALL
    SELECT r.organization_id, 'forecast', -1, r.forecast_end, r.rate_uom, r.currency, sum(r.rate), NULL, count(*),
           count(*)
    FROM r
    WHERE r.forecast_days > 0
    GROUP BY r.organization_id, r.forecast_end, r.rate_uom, r.currency
    UNION ALL
    SELECT r.organization_id, 'actual', 1, r.actual_start, r.rate_uom, r.currency, sum(r.rate), sum(r.price),
           count(*) FILTER (WHERE r.actual_days > 0), count(*)
    FROM r
    WHERE r.actual_days > 0 OR r.is_bought AND r.has_actuals
    GROUP BY r.organization_id, r.actual_start, r.rate_uom, r.currency
    UNION ALL
    SELECT r.organization_id, 'actual', -1, r.actual_end, r.rate_uom, r.currency, sum(r.rate), NULL, count(*), count(*)
    FROM r
    WHERE r.actual_days > 0
    GROUP BY r.organization_id, r.actual_end, r.rate_uom, r.currency
) AS d
GROUP BY d.organization_id, d.phase, 3, 4, 5

-- name: fields
-- What is summed of a record is computed once for both fields.
SELECT r.organization_id,
       CASE WHEN grouping(r.manufacturer) = 0 THEN 'manufacturer' ELSE 'contract' END AS field,
       coalesce(r.manufacturer, r.contract) AS value, r.rate_uom, r.currency,
       %(sign)s * count(*) AS record_count,
       %(sign)s * count(*) FILTER (WHERE r.is_actualized) AS actualized_count,
       %(sign)s * count(*) FILTER (WHERE r.is_discontinued) AS discontinued_count,
       %(sign)s * count(*) FILTER (WHERE r.is_funds_transferable) AS transferable_count,
       %(sign)s * coalesce(sum(r.rate), 0) AS monthly_rental,
       %(sign)s * coalesce(sum(r.price), 0) AS purchase_cost,
       %(sign)s * coalesce(sum(r.price) FILTER (WHERE r.counts), 0) AS counted_purchase,
       %(sign)s * coalesce(sum(r.price) FILTER (WHERE r.counts AND r.has_actuals), 0) AS actual_purchase,
       %(sign)s * coalesce(sum(r.plan) FILTER (WHERE r.counts), 0) AS plan_rate_days,
       %(sign)s * coalesce(sum(r.forecast) FILTER (WHERE r.counts), 0) AS forecast_rate_days,
       %(sign)s * coalesce(sum(r.actual) FILTER (WHERE r.counts), 0) AS actual_rate_days,
       %(sign)s * count(*) FILTER (WHERE r.counts AND r.is_rented AND r.forecast_start IS NULL) AS without_start,
       %(sign)s * count(*) FILTER (WHERE r.counts AND r.is_rented AND r.forecast_end IS NULL) AS without_end,
       %(sign)s * count(*) FILTER (WHERE r.counts AND r.is_rented AND r.rate IS NULL) AS without_rate,
       %(sign)s * count(*) FILTER (WHERE r.counts AND r.is_bought AND r.price IS NULL) AS without_price
FROM (
    SELECT m.organization_id, coalesce(m.manufacturer, '') AS manufacturer, coalesce(m.contract, '') AS contract,
           coalesce(m.rate_uom, '') AS rate_uom, coalesce(m.currency, '') AS currency,
           m.is_actualized, m.is_discontinued, m.is_funds_transferable, m.has_actuals, m.forecast_start, m.forecast_end,
           m.source = 'Purchase' AS is_bought, m.source <> 'Purchase' AS is_rented,
           NOT m.is_discontinued AND NOT m.is_funds_transferable AS counts,
           CASE WHEN m.source <> 'Purchase' THEN m.monthly_rate END AS rate,
           CASE WHEN m.source = 'Purchase' THEN m.purchase_price END AS price,
           CASE WHEN m.source <> 'Purchase' THEN m.plan_days * m.monthly_rate END AS plan,
           CASE WHEN m.source <> 'Purchase' THEN m.forecast_days * m.monthly_rate END AS forecast,
           CASE WHEN m.source <> 'Purchase' THEN m.actual_days * m.monthly_rate END AS actual
    FROM {rows}
    OFFSET 0
) AS r
GROUP BY r.organization_id, r.rate_uom, r.currency, GROUPING SETS ((r.manufacturer), (r.contract))

-- name: always
true

-- name: kept
-- There are any, or the organization has no records yet.
(EXISTS (SELECT FROM kpi_field AS f WHERE f.organization_id = %(organization_id)s)
       OR NOT EXISTS (SELECT FROM kpi_rollup AS g WHERE g.organization_id = %(organization_id)s))

-- name: add_moves
INSERT INTO kpi_month AS k (
    organization_id, phase, month, rate_uom, currency,
    move_count, rate, rate_days_before, purchase, begun, gone, ending)
SELECT *
FROM (
{moves}
) AS s
WHERE {kept}
ON CONFLICT (organization_id, phase, month, rate_uom, currency) DO UPDATE
SET move_count = k.move_count + EXCLUDED.move_count,
    rate = k.rate + EXCLUDED.rate,
    rate_days_before = k.rate_days_before + EXCLUDED.rate_days_before,
    purchase = k.purchase + EXCLUDED.purchase,
    begun = k.begun + EXCLUDED.begun,
    gone = k.gone + EXCLUDED.gone,
    ending = k.ending + EXCLUDED.ending

-- name: add_fields
INSERT INTO kpi_field AS k (
    organization_id, field, value, rate_uom, currency,
    record_count, actualized_count, discontinued_count, transferable_count,
    monthly_rental, purchase_cost, counted_purchase, actual_purchase,
    plan_rate_days, forecast_rate_days, actual_rate_days,
    without_start, without_end, without_rate, without_price)
SELECT *
FROM (
{fields}
) AS s
WHERE {kept}
ON CONFLICT (organization_id, field, value, rate_uom, currency) DO UPDATE
SET record_count = k.record_count + EXCLUDED.record_count,
    actualized_count = k.actualized_count + EXCLUDED.actualized_count,
    discontinued_count = k.discontinued_count + EXCLUDED.discontinued_count,
    transferable_count = k.transferable_count + EXCLUDED.transferable_count,
    monthly_rental = k.monthly_rental + EXCLUDED.monthly_rental,
    purchase_cost = k.purchase_cost + EXCLUDED.purchase_cost,
    counted_purchase = k.counted_purchase + EXCLUDED.counted_purchase,
    actual_purchase = k.actual_purchase + EXCLUDED.actual_purchase,
    plan_rate_days = k.plan_rate_days + EXCLUDED.plan_rate_days,
    forecast_rate_days = k.forecast_rate_days + EXCLUDED.forecast_rate_days,
    actual_rate_days = k.actual_rate_days + EXCLUDED.actual_rate_days,
    without_start = k.without_start + EXCLUDED.without_start,
    without_end = k.without_end + EXCLUDED.without_end,
    without_rate = k.without_rate + EXCLUDED.without_rate,
    without_price = k.without_price + EXCLUDED.without_price

-- name: drop_all
WITH moves AS (
    DELETE FROM kpi_month
    WHERE organization_id = %(organization_id)s
)
DELETE FROM kpi_field
WHERE organization_id = %(organization_id)s

-- name: are_kept
SELECT EXISTS (SELECT FROM kpi_field WHERE organization_id = %(organization_id)s)
    OR EXISTS (SELECT FROM kpi_month WHERE organization_id = %(organization_id)s)
