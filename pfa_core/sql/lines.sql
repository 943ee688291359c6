-- Drafts and their fields as lines of text that the server composes: see store/reads/lines.py. The character
-- U+0003 in a line says that the line is not as the program would write it: the program writes it then. U+0004 begins a
-- line of a field, and U+0002 is the place of a cost in it. None of the three is in a value that gets that far.
-- {{text}} and the other parts in braces are joined from literals.

-- name: drafts
-- The caller's modifications in an order, each as a line; where the program has to write it, what names it. Each
-- sub-select adds what the next one is made of: a lateral join would keep the rows of its outer side (Memoize). OFFSET
-- leaves them as they are, and the order is that of the innermost: above it rows are neither joined nor sorted.
SELECT CASE WHEN strpos(l.line, E'\x03') > 0 THEN concat(E'\x03', l.modification_id, ' ', l.pfa_id) ELSE l.line END
FROM (
    SELECT m.modification_id, m.pfa_id, {line} AS line
    FROM (
        SELECT m.*, {at} AS created_text, {delta} AS delta_text, {fields} AS fields_text, {base} AS base_text
        FROM ({rows}) AS m
        OFFSET 0) AS m
    OFFSET 0) AS l

-- name: rows
SELECT m.modification_id, m.pfa_id, m.session_id, m.state, m.delta, m.base, m.version, m.change_reason, m.created_at,
       m.updated_at, m.committed_at{beside}
FROM pfa_modification AS m
{tables}
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.state <> 'synced'
  AND {narrowing}
ORDER BY {order}
LIMIT %(limit)s OFFSET 0

-- name: beside_row
, m.delta::text AS delta_stored

-- name: beside_draft
, b.data AS pems, m.delta::text AS delta_stored, m.base::text AS base_stored

-- name: beside_fields
, b.data AS pems, b.rate_uom, b.currency, b.forecast_days,
       CASE WHEN {has_stacks} THEN ({earlier}) END AS earlier

-- name: by_record
-- The order of the statement `active`.
m.pfa_id, m.state = 'draft', m.committed_at, m.modification_id

-- name: of_states
m.state = ANY(%(states)s)

-- name: of_sessions
m.session_id = ANY(%(sessions)s)

-- name: of_values
-- The record as the caller sees it matches. Looked up by its key whatever the statistics say: see untouched_page.
CROSS JOIN LATERAL (
    SELECT
    FROM pfa_overlay AS r
    WHERE r.organization_id = %(organization_id)s
      AND r.user_id = %(user_id)s
      AND r.pfa_id BETWEEN m.pfa_id AND m.pfa_id
      AND {conditions}
    ORDER BY r.pfa_id
    OFFSET 0) AS v

-- name: of_record
-- What PEMS has.
CROSS JOIN LATERAL (
    SELECT b.data, b.rate_uom, b.currency, b.forecast_days
    FROM pfa_mirror AS b
    WHERE b.organization_id = %(organization_id)s
      AND b.pfa_id = m.pfa_id
    OFFSET 0) AS b

-- name: has_long_base
-- Maybe a number that JSON has with an exponent. The CHECK of a delta refuses those, and lists and objects.
length(m.base_text) > 350

-- name: has_own_sends
-- The base of a change is another one behind a change of the same user that PEMS may have.
{has_stacks} AND EXISTS (
    SELECT FROM pfa_modification AS s
    WHERE s.organization_id = %(organization_id)s
      AND s.user_id = %(user_id)s
      AND s.pfa_id = m.pfa_id
      AND s.state <> 'synced'
      AND s.modification_id <> m.modification_id
      AND (s.state = 'syncing' OR s.sent_version IS NOT NULL))

-- name: has_stacks
-- Whether any record of the caller can have an earlier change: asked once, mostly none has.
(SELECT EXISTS (
    SELECT FROM pfa_modification AS s
    WHERE s.organization_id = %(organization_id)s
      AND s.user_id = %(user_id)s
      AND s.state NOT IN ('synced', 'draft')))

-- name: unless_odd
CASE WHEN {long_base} OR {own_sends} THEN E'\x03' ELSE {line} END

-- name: csv
-- A cell of CSV. A line end or a control character in it, and an apostrophe before what begins a formula: not here.
CASE WHEN {text} !~ '[,"''\u0001-\u001f\u0085\u2028\u2029[{{]' THEN {text}
     WHEN {text} ~ '[\u0001-\u001f\u0085\u2028\u2029]|''[-=+@\uff1d\uff0b\uff0d\uff20]|^[[{{]' THEN E'\x03'
     WHEN {text} ~ '[,"]' THEN concat('"', replace({text}, '"', '""'), '"')
     ELSE {text} END

-- name: csv_object
CASE WHEN strpos({text}, '''') > 0 AND {text} ~ '''[-=+@\uff1d\uff0b\uff0d\uff20]' THEN E'\x03'
     ELSE concat('"', replace({text}, '"', '""'), '"') END

-- name: tsv
-- A field of TSV. What has to be escaped: not here.
CASE WHEN {text} ~ '[\\\u0001-\u001f\u0085\u2028\u2029]|^[[{{]' THEN E'\x03' ELSE {text} END

-- name: tsv_object
CASE WHEN {text} ~ '[\\\u0085\u2028\u2029]' THEN E'\x03' ELSE {text} END

-- name: json_text
coalesce(to_json({text})::text, 'null')

-- name: json_at
coalesce('"' || {text} || '"', 'null')

-- name: at_or_created
CASE {column} WHEN m.created_at THEN m.created_text ELSE {at} END

-- name: created
-- Thousands of drafts are of one save. Its time is formatted once, since nothing of the row is in that sub-select.
CASE m.created_at WHEN ({first}) THEN (SELECT {of_first}) ELSE {at} END

-- name: first_created
SELECT f.created_at
FROM pfa_modification AS f
WHERE f.organization_id = %(organization_id)s
  AND f.user_id = %(user_id)s
  AND f.state <> 'synced'
ORDER BY f.pfa_id
LIMIT 1

-- name: at
to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')

-- name: member
-- A field as a member of an object, where the object has it.
CASE WHEN {object} ? '{field}' THEN concat(',"{field}":', {value}) END

-- name: assignment
CASE WHEN m.delta ? '{field}' THEN concat(', {field}=', coalesce({value}, 'null')) END

-- name: value
{object} -> '{field}'

-- name: plain_value
{object} ->> '{field}'

-- name: object
-- Without the comma before the first.
concat('{{', substr(concat({members}), 2), '}}')

-- name: of_one_field
-- Most have one field, whose stored text has a blank too many; to look for each field takes three times as long. No
-- name has a quotation mark, and in a text one has a backslash before it.
CASE WHEN strpos({stored}, ', "') = 0 AND strpos({stored}, '": ') > 0
     THEN overlay({stored} PLACING '":' FROM strpos({stored}, '": ') FOR 3)
     ELSE {whole} END

-- name: assignments
substr(concat({assignments}), 3)

-- name: overtaken
-- The fields whose value in PEMS is neither that of the base nor of the delta; a missing value equals null. Mostly PEMS
-- has what the base has.
CASE WHEN NOT m.pems @> m.base THEN substr(concat({fields}), 2) END

-- name: overtaken_field
CASE WHEN m.delta ? '{field}'
      AND coalesce(m.pems -> '{field}', 'null') <> coalesce(m.base -> '{field}', 'null')
      AND coalesce(m.pems -> '{field}', 'null') <> m.delta -> '{field}'
     THEN concat(',{{"field":"{field}","base":', {base}, ',"mine":', {mine}, ',"pems":', {pems}, '}}') END

-- name: json_value
CASE WHEN jsonb_typeof({object} -> '{field}') IN ('object', 'array')
      OR jsonb_typeof({object} -> '{field}') = 'number' AND length({object} ->> '{field}') > 300 THEN E'\x03'
     ELSE coalesce(({object} -> '{field}')::text, 'null') END

-- name: fields
-- The caller's modifications by record, each as the lines of its fields: the lines, the record, the number of fields and
-- the effect on the forecast in money-days, null for none. Sub-selects as in drafts.
SELECT CASE WHEN strpos(l.line, E'\x03') > 0 THEN concat(E'\x03', l.modification_id, ' ', l.pfa_id) ELSE l.line END,
       l.pfa_id, l.fields, l.money_days
FROM (
    SELECT m.modification_id, m.pfa_id, m.fields, m.money_days, {line} AS line
    FROM (
        SELECT m.*, length(m.changed) - length(replace(m.changed, E'\x04', '')) AS fields,
               coalesce(nullif(m.changed, ''), {unchanged}) AS lines, {cents} AS cost
        FROM (
            SELECT m.*, {effect} AS money_days, concat({changed}) AS changed
            FROM (
                SELECT m.*, {segments}
                FROM (
                    SELECT m.*, CASE WHEN m.earlier IS NULL THEN m.pems ELSE m.pems || m.earlier END AS was
                    FROM ({rows}) AS m
                    OFFSET 0) AS m
                OFFSET 0) AS m
            OFFSET 0) AS m
        OFFSET 0) AS m
    OFFSET 0) AS l

-- name: earlier
-- What the caller's earlier modifications of the record have, the last one of a field.
SELECT jsonb_object_agg(f.key, f.value ORDER BY s.committed_at, s.modification_id)
FROM pfa_modification AS s
CROSS JOIN LATERAL jsonb_each(s.delta) AS f (key, value)
WHERE s.organization_id = %(organization_id)s
  AND s.user_id = %(user_id)s
  AND s.pfa_id = m.pfa_id
  AND s.state <> 'synced'
  AND s.state <> 'draft'
  AND (m.state = 'draft' OR (s.committed_at, s.modification_id) < (m.committed_at, m.modification_id))

-- name: changed_field
CASE WHEN m.delta ? '{field}' AND coalesce(m.was -> '{field}', 'null') <> m.delta -> '{field}' THEN {shown} END

-- name: hidden_field
-- Listed whether it changes or not: see Mask.changes.
CASE WHEN m.delta ? '{field}' THEN {shown} END

-- name: change
-- A member of a list; the mark before it counts it.
concat(E'\x04', ',{{"field":"{field}","before":', {before}, ',"after":', {after}, '}}')

-- name: lines
-- The lines of the fields, or one without a field. Only the first one has the cost, in the place that is marked.
replace(CASE WHEN strpos(m.lines, E'\x02') = 0 THEN substr(m.lines, 2)
             ELSE concat(substr(split_part(m.lines, E'\x02', 1), 2), m.cost,
                         replace(substr(m.lines, strpos(m.lines, E'\x02') + 1), E'\x02', '')) END,
        E'\x04', E'\n')

-- name: changes
substr(replace(m.lines, E'\x04', ''), 2)

-- name: effect
-- As forecast_money_days of pfa_core/model/money.py, after less before; null where no field of it changes.
CASE WHEN m.delta ?| %(priced)s::text[] THEN (
    SELECT coalesce(CASE WHEN {after_isDiscontinued} = 'true' OR {after_isFundsTransferable} = 'true' THEN 0
                         WHEN {after_source} = '"Purchase"' THEN {price_after} * 213.08
                         ELSE a.days * {rate_after} * a.weight END, 0)
           - coalesce(CASE WHEN m.was -> 'isDiscontinued' = 'true' OR m.was -> 'isFundsTransferable' = 'true' THEN 0
                           WHEN m.was -> 'source' = '"Purchase"' THEN {price_before} * 213.08
                           ELSE a.days_before * {rate_before} * a.weight END, 0)
    FROM (
        SELECT d.weight, d.days_before,
               CASE WHEN m.delta ?| '{{forecastStart,forecastEnd}}' THEN {days_after} ELSE d.days_before END AS days
        FROM (
            SELECT (%(weights)s::jsonb -> coalesce(m.rate_uom, '') ->> coalesce(m.currency, ''))::numeric AS weight,
                   CASE WHEN m.earlier IS NULL THEN m.forecast_days
                        ELSE pfa_days(m.was ->> 'forecastStart', m.was ->> 'forecastEnd') END AS days_before
            OFFSET 0) AS d
        OFFSET 0) AS a
    WHERE a.weight IS NOT NULL) END

-- name: after
CASE WHEN m.delta ? '{field}' THEN m.delta ELSE m.was END -> '{field}'

-- name: days_after
-- The overlay has those of the topmost modification.
coalesce(({days_of_overlay}), pfa_days(({start}) #>> '{{}}', ({end}) #>> '{{}}'))

-- name: days_of_overlay
SELECT t.forecast_days
FROM pfa_overlay AS t
WHERE t.organization_id = %(organization_id)s
  AND t.user_id = %(user_id)s
  AND t.pfa_id BETWEEN m.pfa_id AND m.pfa_id
  AND t.modification_id = m.modification_id
ORDER BY t.pfa_id

-- name: amount
CASE jsonb_typeof({value}) WHEN 'number' THEN ({value})::numeric END

-- name: cents
-- Money-days in money, rounded half up to cents: one division, of whole numbers.
(coalesce(sign(m.money_days) * div(abs(m.money_days) * 200 + 213.08, 426.16), 0) * 0.01)::text

-- name: hidden_cost
NULL::text
