-- Differences between kept sums and overlays and what they are computed from. {rows} are composed in
-- store/reads/drift.py.

-- name: rollup_drift
-- Combinations of dimensions whose sums are not those of the mirror; counts 0 where one has no row.
SELECT coalesce(k.category, c.category) AS category, coalesce(k.class, c.class) AS class_,
       coalesce(k.source, c.source) AS source, coalesce(k.dor, c.dor) AS dor,
       coalesce(k.area_silo, c.area_silo) AS area_silo,
       coalesce(k.record_count, 0) AS kept, coalesce(c.record_count, 0) AS counted
FROM (
    SELECT category, class, source, dor, area_silo, is_actualized, is_discontinued,
           is_funds_transferable, rate_uom, currency, record_count, monthly_rental, purchase_cost,
           actual_purchase, plan_rate_days, forecast_rate_days, actual_rate_days, without_start,
           without_end, without_price
    FROM kpi_rollup
    WHERE organization_id = %(organization_id)s
      AND (record_count, monthly_rental, purchase_cost, actual_purchase, plan_rate_days,
           forecast_rate_days, actual_rate_days, without_start, without_end, without_price)
          <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
) AS k
FULL JOIN (
    {rows}
) AS c (organization_id, category, class, source, dor, area_silo, is_actualized, is_discontinued,
        is_funds_transferable, rate_uom, currency, record_count, monthly_rental, purchase_cost,
        actual_purchase, plan_rate_days, forecast_rate_days, actual_rate_days, without_start,
        without_end, without_price)
  ON k.category = c.category AND k.class = c.class AND k.source = c.source AND k.dor = c.dor
 AND k.area_silo = c.area_silo AND k.is_actualized = c.is_actualized
 AND k.is_discontinued = c.is_discontinued
 AND k.is_funds_transferable = c.is_funds_transferable
 AND k.rate_uom = c.rate_uom AND k.currency = c.currency
WHERE (k.record_count, k.monthly_rental, k.purchase_cost, k.actual_purchase, k.plan_rate_days,
       k.forecast_rate_days, k.actual_rate_days, k.without_start, k.without_end, k.without_price)
      IS DISTINCT FROM
      (c.record_count, c.monthly_rental, c.purchase_cost, c.actual_purchase, c.plan_rate_days,
       c.forecast_rate_days, c.actual_rate_days, c.without_start, c.without_end, c.without_price)
ORDER BY 1, 2, 3, 4, 5;

-- name: months_drift
-- Months of a phase whose moves are not those of the mirror.
SELECT coalesce(k.phase, c.phase) AS field, coalesce(k.month, c.month) AS value,
       coalesce(k.move_count, 0) AS kept, coalesce(c.move_count, 0) AS counted
FROM (
    SELECT phase, month, rate_uom, currency, move_count, rate, rate_days_before, purchase, begun, gone, ending
    FROM kpi_month
    WHERE organization_id = %(organization_id)s
      AND (move_count, rate, rate_days_before, purchase, begun, gone, ending) <> (0, 0, 0, 0, 0, 0, 0)
) AS k
FULL JOIN (
    {rows}
) AS c
  ON k.phase = c.phase AND k.month = c.month AND k.rate_uom = c.rate_uom AND k.currency = c.currency
WHERE (k.move_count, k.rate, k.rate_days_before, k.purchase, k.begun, k.gone, k.ending)
      IS DISTINCT FROM
      (c.move_count, c.rate, c.rate_days_before, c.purchase, c.begun, c.gone, c.ending)
ORDER BY 1, 2;

-- name: fields_drift
-- Values of a field whose sums are not those of the mirror.
SELECT coalesce(k.field, c.field) AS field, coalesce(k.value, c.value) AS value,
       coalesce(k.record_count, 0) AS kept, coalesce(c.record_count, 0) AS counted
FROM (
    SELECT field, value, rate_uom, currency, record_count, actualized_count, discontinued_count, transferable_count,
           monthly_rental, purchase_cost, counted_purchase, actual_purchase, plan_rate_days, forecast_rate_days,
           actual_rate_days, without_start, without_end, without_rate, without_price
    FROM kpi_field
    WHERE organization_id = %(organization_id)s
      AND (record_count, actualized_count, discontinued_count, transferable_count, monthly_rental, purchase_cost,
           counted_purchase, actual_purchase, plan_rate_days, forecast_rate_days, actual_rate_days, without_start,
           without_end, without_rate, without_price)
          <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
) AS k
FULL JOIN (
    {rows}
) AS c
  ON k.field = c.field AND k.value = c.value AND k.rate_uom = c.rate_uom AND k.currency = c.currency
WHERE (k.record_count, k.actualized_count, k.discontinued_count, k.transferable_count, k.monthly_rental,
       k.purchase_cost, k.counted_purchase, k.actual_purchase, k.plan_rate_days, k.forecast_rate_days,
       k.actual_rate_days, k.without_start, k.without_end, k.without_rate, k.without_price)
      IS DISTINCT FROM
      (c.record_count, c.actualized_count, c.discontinued_count, c.transferable_count, c.monthly_rental,
       c.purchase_cost, c.counted_purchase, c.actual_purchase, c.plan_rate_days, c.forecast_rate_days,
       c.actual_rate_days, c.without_start, c.without_end, c.without_rate, c.without_price)
ORDER BY 1, 2;

-- name: sums_drift
-- Combinations of a user and dimensions whose sums are not what the user's overlays add to those of the mirror.
SELECT coalesce(k.user_id, c.user_id) AS user_id, coalesce(k.grain, c.grain) AS grain,
       coalesce(k.category, c.category) AS category,
       coalesce(k.class, c.class) AS class_, coalesce(k.source, c.source) AS source,
       coalesce(k.dor, c.dor) AS dor, coalesce(k.area_silo, c.area_silo) AS area_silo,
       coalesce(k.touched_count, 0) AS kept, coalesce(c.touched_count, 0) AS counted
FROM (
    SELECT user_id, grain, category, class, source, dor, area_silo, is_actualized, is_discontinued,
           is_funds_transferable, rate_uom, currency,
           sum(record_count) AS record_count, sum(touched_count) AS touched_count, sum(actualized_count) AS
           actualized_count, sum(discontinued_count) AS discontinued_count, sum(transferable_count) AS
           transferable_count, sum(monthly_rental) AS monthly_rental, sum(purchase_cost) AS purchase_cost,
           sum(plan_rate_days) AS plan_rate_days, sum(plan_purchase) AS plan_purchase, sum(forecast_rate_days)
           AS forecast_rate_days, sum(forecast_purchase) AS forecast_purchase, sum(actual_rate_days) AS
           actual_rate_days, sum(actual_purchase) AS actual_purchase, sum(without_start) AS without_start,
           sum(without_end) AS without_end, sum(without_rate) AS without_rate, sum(without_price) AS
           without_price
    FROM kpi_overlay
    WHERE organization_id = %(organization_id)s
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
    HAVING (sum(record_count), sum(touched_count), sum(actualized_count), sum(discontinued_count), sum(transferable_count),
            sum(monthly_rental), sum(purchase_cost), sum(plan_rate_days), sum(plan_purchase),
            sum(forecast_rate_days), sum(forecast_purchase), sum(actual_rate_days), sum(actual_purchase),
            sum(without_start), sum(without_end), sum(without_rate), sum(without_price))
           <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
) AS k
FULL JOIN (
    {rows}
) AS c (organization_id, user_id, grain, of_mirror, category, class, source, dor, area_silo, is_actualized,
        is_discontinued, is_funds_transferable, rate_uom, currency,
        record_count, touched_count, actualized_count, discontinued_count, transferable_count, monthly_rental,
        purchase_cost, plan_rate_days, plan_purchase, forecast_rate_days, forecast_purchase, actual_rate_days,
        actual_purchase, without_start, without_end, without_rate, without_price)
  ON k.user_id = c.user_id AND k.grain = c.grain AND k.category = c.category AND k.class = c.class
 AND k.source = c.source AND k.dor = c.dor AND k.area_silo = c.area_silo AND k.is_actualized = c.is_actualized
 AND k.is_discontinued = c.is_discontinued AND k.is_funds_transferable = c.is_funds_transferable
 AND k.rate_uom = c.rate_uom AND k.currency = c.currency
WHERE (k.record_count, k.touched_count, k.actualized_count, k.discontinued_count, k.transferable_count,
       k.monthly_rental, k.purchase_cost, k.plan_rate_days, k.plan_purchase, k.forecast_rate_days,
       k.forecast_purchase, k.actual_rate_days, k.actual_purchase, k.without_start, k.without_end,
       k.without_rate, k.without_price)
      IS DISTINCT FROM
      (c.record_count, c.touched_count, c.actualized_count, c.discontinued_count, c.transferable_count,
       c.monthly_rental, c.purchase_cost, c.plan_rate_days, c.plan_purchase, c.forecast_rate_days,
       c.forecast_purchase, c.actual_rate_days, c.actual_purchase, c.without_start, c.without_end,
       c.without_rate, c.without_price)
ORDER BY 1, 2, 3, 4, 5, 6, 7;

-- name: touched
-- The users and records whose overlay rows are checked.
SELECT t.user_id, array_agg(DISTINCT t.pfa_id)
FROM (
    SELECT m.user_id, m.pfa_id
    FROM pfa_modification AS m
    WHERE m.organization_id = %(organization_id)s
      AND m.state <> 'synced'
    UNION ALL
    SELECT o.user_id, o.pfa_id
    FROM pfa_overlay AS o
    WHERE o.organization_id = %(organization_id)s
) AS t
GROUP BY t.user_id
ORDER BY t.user_id;

-- name: overlay_drift
-- Records whose overlay row of the user differs from the one that mirror and modifications give.
SELECT coalesce(o.pfa_id, e.pfa_id)
FROM (
    SELECT pfa_id, delta, data, modification_id
    FROM pfa_overlay
    WHERE organization_id = %(organization_id)s
      AND user_id = %(user_id)s
) AS o
FULL JOIN (
    {rows}
) AS e ON e.pfa_id = o.pfa_id
WHERE (o.delta, o.data, o.modification_id) IS DISTINCT FROM (e.delta, e.data, e.modification_id)
ORDER BY 1;

-- name: bad_rows
-- Rows that break a check, which is older than they are or was dropped.
SELECT table_name, columns, row_key::text AS row_key FROM pfa_bad_rows_of(%(organization_id)s);

-- name: bad_rows@rls
SELECT table_name, columns, row_key::text AS row_key FROM pfa_bad_rows();

-- name: drop_bad_rows
-- Deletes those that are computed anew or replaced.
SELECT table_name, columns, pfa_id, content FROM pfa_drop_bad_rows_of(%(organization_id)s);

-- name: drop_bad_rows@rls
SELECT table_name, columns, pfa_id, content FROM pfa_drop_bad_rows();
