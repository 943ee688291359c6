-- The audit trail: written by the transaction that changes the data, never changed after.

-- name: write
-- by: any
-- then: PERFORM pfa_expect_link()
-- unless: NOT pfa_may_record(%(action)s)
INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, modification_id,
                       session_id, run_id, before, after, reason, link_id, restores, base, was)
SELECT %(organization_id)s, e.entry_id, %(at)s, %(user_id)s, %(action)s, e.pfa_id,
       e.modification_id, e.session_id, e.run_id, e.before, e.after, left(e.reason, 100000), %(link_id)s::uuid,
       e.restores, e.base, e.was
FROM jsonb_to_recordset(%(entries)s) AS e (
    entry_id uuid, pfa_id text, modification_id uuid, session_id text, run_id uuid,
    before jsonb, after jsonb, reason text, restores uuid, base jsonb, was jsonb
)
RETURNING entry_id;

-- name: write_of, write_of@one
-- by: save_draft, commit
-- then: PERFORM pfa_expect_link()
-- unless: NOT pfa_may_record(%(action)s)
-- Entries of modifications with their present delta, as before or after. The entries' ids are one id whose
-- last eight digits count them in the order of their records; the first of them ends in 1. With `base` each also
-- keeps what its delta was made over, with `was` the rest of what the action changes.
INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, pfa_id, modification_id,
                       session_id, run_id, before, after, reason, link_id, base, was)
SELECT %(organization_id)s,
       (%(first_digits)s::text || lpad(to_hex(row_number() OVER (ORDER BY m.pfa_id)), 8, '0'))::uuid,
       %(at)s, %(user_id)s, %(action)s, m.pfa_id, m.modification_id, m.session_id, NULL,
       CASE WHEN %(before)s THEN m.delta END, CASE WHEN %(after)s THEN m.delta END,
       m.change_reason, %(link_id)s::uuid, CASE WHEN %(base)s THEN m.base END,
       CASE WHEN NOT %(was)s THEN NULL
            -- Of a draft that was never sent all the rest is null or 0, as an undo takes what is not there: to build,
            -- check and digest it would be a fifth of what the entry costs.
            WHEN %(action)s <> 'settle' AND num_nonnulls(m.committed_at, m.first_attempt_at, m.sync_error) = 0
                 AND m.attempts + m.failures + m.generation = 0
            THEN jsonb_build_object(
           'version', m.version, 'base_version', m.base_version, 'created_at', m.created_at)
            -- What waited for another attempt waits for the next push where it is taken back.
            ELSE jsonb_strip_nulls(jsonb_build_object(
           'state', CASE WHEN m.next_attempt_at IS NULL THEN m.state ELSE 'committed' END,
           'version', m.version, 'generation', m.generation,
           'base_version', m.base_version, 'created_at', m.created_at, 'committed_at', m.committed_at,
           'attempts', m.attempts, 'failures', m.failures, 'first_attempt_at', m.first_attempt_at,
           'sync_error', m.sync_error,
           'agreed', CASE WHEN %(action)s = 'settle' THEN true END)) END
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
RETURNING entry_id;

-- name: list
-- until is exclusive.
SELECT e.entry_id::text, e.at, e.user_id, e.action, e.pfa_id, e.session_id, e.run_id::text,
       e.before, e.after, e.reason
FROM audit_log AS e
WHERE e.organization_id = %(organization_id)s
  {filters}
ORDER BY {order}
LIMIT %(limit)s;

-- name: following
-- The entries of the links after a place in the chain, in the order of the chain: the order in which
-- transactions ended, whatever the times of their entries.
SELECT l.number, e.entry_id::text, e.at, e.user_id, e.action, e.pfa_id, e.session_id,
       e.run_id::text, e.before, e.after, e.reason
FROM audit_link AS l
JOIN audit_log AS e ON e.organization_id = %(organization_id)s AND e.link_id = l.link_id
WHERE l.organization_id = %(organization_id)s
  AND l.number >= %(number)s
  AND (l.number, e.entry_id) > (%(number)s, %(entry_id)s::uuid)
  {filters}
ORDER BY l.number, e.entry_id
LIMIT %(limit)s;

-- name: was_discarded
SELECT EXISTS (
    SELECT FROM audit_log
    WHERE organization_id = %(organization_id)s
      AND user_id = %(user_id)s
      AND session_id = %(session_id)s
      AND action = 'discard'
);

-- name: discards
-- A user's discarded drafts, and those that a commit dropped because PEMS owns their fields (these entries have a
-- base; where PEMS had the values nothing is lost): of each record the last one in the chain. restored: it was made
-- a draft again since, by a restore or an undo that was not undone, and it was not emptied since. Of archived links only
-- some are here, which say too little. IS TRUE keeps the
-- sets from becoming joins: each is read and hashed once, whatever the planner expects of the trail, where it was
-- searched for each entry.
SELECT DISTINCT ON (e.pfa_id) e.entry_id::text, e.pfa_id,
       (e.entry_id IN (
           SELECT r.restores FROM audit_log AS r
           WHERE r.organization_id = %(organization_id)s
             AND r.user_id = %(user_id)s
             AND r.restores IS NOT NULL
             {of_records}
             AND (r.entry_id IN ({taken_back})) IS NOT TRUE
             AND (r.modification_id IN (
                 SELECT r.modification_id FROM audit_log AS r
                 WHERE r.organization_id = %(organization_id)s
                   AND r.user_id = %(user_id)s
                   AND r.action IN ('save', 'unset')
                   AND r.after IS NULL
                   {of_records}
                   AND (r.entry_id IN ({taken_back})) IS NOT TRUE)) IS NOT TRUE)
       ) IS TRUE AS restored
FROM audit_log AS e
CROSS JOIN LATERAL (
    SELECT i.number
    FROM audit_link AS i
    WHERE i.organization_id = %(organization_id)s
      AND i.link_id BETWEEN e.link_id AND e.link_id
    ORDER BY i.link_id
    LIMIT 1) AS l
WHERE e.organization_id = %(organization_id)s
  AND e.user_id = %(user_id)s
  AND (e.action = 'discard'
       OR (e.action = 'settle' AND e.base IS NOT NULL AND NOT coalesce(e.was ? 'agreed', false)))
  AND (%(session_id)s::text IS NULL OR e.session_id = %(session_id)s)
  AND (%(ids)s::text[] IS NULL OR e.pfa_id = ANY(%(ids)s))
  AND (%(entry_ids)s::uuid[] IS NULL OR e.entry_id = ANY(%(entry_ids)s))
  AND l.number > %(archived)s
ORDER BY e.pfa_id, l.number DESC, e.entry_id DESC;

-- name: taken_back
-- What an undo took back that was not taken back itself.
SELECT r.restores FROM audit_log AS r
WHERE r.organization_id = %(organization_id)s
  AND r.user_id = %(user_id)s
  AND r.restores IS NOT NULL
  {of_records}
  AND (r.entry_id IN (
      SELECT r.restores FROM audit_log AS r
      WHERE r.organization_id = %(organization_id)s
        AND r.user_id = %(user_id)s
        AND r.restores IS NOT NULL
        {of_records})) IS NOT TRUE

-- name: of_records
AND r.pfa_id = ANY(%(ids)s)

-- name: discarded
-- What some of these entries keep, in PFA id order, and when they were written, by the database's clock.
SELECT e.entry_id::text, e.pfa_id, e.session_id, e.before AS delta, e.base, e.reason, l.at
FROM audit_log AS e
CROSS JOIN LATERAL (
    SELECT i.at
    FROM audit_link AS i
    WHERE i.organization_id = %(organization_id)s
      AND i.link_id BETWEEN e.link_id AND e.link_id
    ORDER BY i.link_id
    LIMIT 1) AS l
WHERE e.organization_id = %(organization_id)s
  AND e.user_id = %(user_id)s
  AND e.entry_id = ANY(%(entry_ids)s::uuid[])
ORDER BY e.pfa_id;

-- name: committed_of, committed_of@one
-- The user's modifications of records that were ever committed.
SELECT DISTINCT modification_id::text
FROM audit_log
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND pfa_id = ANY(%(ids)s)
  AND action = 'commit';

-- name: denials
-- How many denials of this user, and of all users, are recorded since.
SELECT count(*) FILTER (WHERE user_id = %(user_id)s), count(*)
FROM audit_log
WHERE organization_id = %(organization_id)s
  AND action IN ('permission_denied', 'sync_skipped')
  AND at > %(since)s
  AND at <= clock_timestamp() + interval '1 hour';

-- name: deny_under_rls
-- A denial of the caller, unless too many were recorded; how many are.
SELECT pfa_deny(%(organization_id)s, %(entry_id)s::uuid, %(action)s, %(operation)s, %(permission)s, %(reason)s);
