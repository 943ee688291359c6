"""What the predecessor's own SQL does for the same answers: deltas joined and merged at every read."""

MERGED = """
    SELECT m.pfa_id, m.data || coalesce(d.delta, '{}') AS data,
           coalesce(d.state, 'pristine') AS sync_state, d.session_id,
           coalesce(d.version, 0) AS version, d.updated_at
    FROM pfa_mirror AS m
    LEFT JOIN pfa_modification AS d
      ON d.organization_id = m.organization_id AND d.pfa_id = m.pfa_id
     AND d.user_id = %(user_id)s AND d.state IN ('draft', 'committed', 'syncing')
    WHERE m.organization_id = %(organization_id)s"""

PAGE = """
    SELECT pfa_id, data::text, sync_state, session_id, version, updated_at
    FROM ({merged}) AS r WHERE {where} ORDER BY {order} LIMIT 100"""
COUNT = "SELECT count(*) FROM ({merged}) AS r WHERE {where}"
_COST = "CASE WHEN data ->> 'source' = 'Purchase' THEN (data ->> 'purchasePrice')::numeric ELSE {rental} END"
_RENTAL = (
    "(data ->> 'monthlyRate')::numeric"
    " * ((data ->> '{phase}End')::date - (data ->> '{phase}Start')::date) / 30.44"
)
STATS = """
    SELECT {key}, count(*),
           count(*) FILTER (WHERE (data ->> 'isActualized')::boolean),
           sum((data ->> 'monthlyRate')::numeric) FILTER (WHERE data ->> 'source' <> 'Purchase'),
           sum(%(plan)s), sum(%(forecast)s)
    FROM ({merged}) AS r GROUP BY 1""" % {
    phase: _COST.format(rental=_RENTAL.format(phase=word))
    for phase, word in (("plan", "original"), ("forecast", "forecast"))
}


def page(where: str, order: str) -> str:
    return PAGE.format(merged=MERGED, where=where, order=order)


def count(where: str) -> str:
    return COUNT.format(merged=MERGED, where=where)


def stats(key: str = "1") -> str:
    return STATS.replace("{merged}", MERGED).replace("{key}", key)
