-- The pusher's half of the life cycle. The run that executes these blocks holds the organization's push lease;
-- claim_id is the run, and every change of a claimed modification is guarded by it, so that a run
-- that lost its lease without noticing changes nothing any more. Counters stay in the range that a row may hold.

-- name: due
-- What to send next: committed changes that are due, the oldest first, never two of one record. An earlier one of
-- the record precedes it, unless that is another user's and needs a decision (a conflict, a dead letter), or
-- follows one of its user that does: a user's changes build on each other, those of different users do not.
-- A retry that is due later than any schedule says is due now: it would keep back what follows it.
-- OFFSET 0 keeps that condition one index look-up a record, whatever the table's statistics.
SELECT m.modification_id::text, m.pfa_id, m.user_id, m.session_id, m.delta, m.base, m.version,
       m.change_reason, m.generation, m.sent_version, m.sent_fields, m.attempts, m.failures,
       m.first_attempt_at
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.state IN ('committed', 'sync_error')
  AND (m.state = 'committed' OR m.next_attempt_at <= %(at)s
       OR m.next_attempt_at > %(at)s::timestamptz + interval '1 day')
  AND (%(session_id)s::text IS NULL OR m.session_id = %(session_id)s)
  AND (%(modification_ids)s::uuid[] IS NULL OR m.modification_id = ANY(%(modification_ids)s))
  AND NOT EXISTS (
      SELECT FROM pfa_modification AS e
      WHERE e.organization_id = %(organization_id)s
        AND e.pfa_id = m.pfa_id
        AND e.state IN ('committed', 'syncing', 'sync_error', 'conflict')
        AND e.modification_id <> m.modification_id
        AND (e.state = 'syncing'
             OR ((e.committed_at, e.modification_id) < (m.committed_at, m.modification_id)
                 AND (e.user_id = m.user_id
                      OR ((e.state = 'committed' OR e.next_attempt_at IS NOT NULL)
                          AND NOT EXISTS (
                              SELECT FROM pfa_modification AS w
                              WHERE w.organization_id = %(organization_id)s
                                AND w.pfa_id = e.pfa_id
                                AND w.user_id = e.user_id
                                AND w.state IN ('sync_error', 'conflict')
                                AND w.next_attempt_at IS NULL
                                AND (w.committed_at, w.modification_id)
                                    < (e.committed_at, e.modification_id))))))
      OFFSET 0)
ORDER BY m.committed_at, m.modification_id
LIMIT %(limit)s
FOR UPDATE OF m SKIP LOCKED;

-- name: mirror_values
-- The mirror's values of each modification's fields, and PEMS's version of them.
SELECT m.modification_id::text, r.pems_revision,
       (SELECT jsonb_object_agg(f, r.data -> f)
        FROM jsonb_object_keys(CASE WHEN jsonb_typeof(m.delta) = 'object' THEN m.delta ELSE '{}' END) AS f)
FROM pfa_modification AS m
JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = m.pfa_id
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[]);

-- name: claim
-- by: sync
-- returns: modification_id text
-- unless: NOT pfa_holds_lease(%(organization_id)s, 'push', %(run_id)s)
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
-- sent_version and sent_fields are recorded for those that are sent without reading PEMS again; a send in doubt keeps
-- its own.
UPDATE pfa_modification AS m
SET state = 'syncing',
    claim_id = %(run_id)s,
    attempts = least(m.attempts + 1, 1000000),
    sent_version = c.sent_version,
    sent_fields = c.sent_fields,
    next_attempt_at = NULL,
    first_attempt_at = coalesce(m.first_attempt_at, %(at)s)
FROM jsonb_to_recordset(%(claims)s) AS c (
    modification_id uuid, sent_version text, sent_fields text[])
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = c.modification_id
  AND m.state IN ('committed', 'sync_error')
RETURNING m.modification_id::text;

-- name: mark
-- by: sync
-- returns: modification_id text
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
-- Records on which version and under which key a modification is about to be sent, and which of its fields.
UPDATE pfa_modification AS m
SET sent_version = c.sent_version,
    sent_fields = c.sent_fields,
    generation = least(c.generation, 1000000)
FROM jsonb_to_recordset(%(marks)s) AS c (
    modification_id uuid, sent_version text, sent_fields text[], generation integer)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = c.modification_id
  AND m.state = 'syncing'
  AND m.claim_id = %(run_id)s
RETURNING m.modification_id::text;

-- name: acknowledge
-- by: sync
-- returns: modification_id text
-- trail: acknowledge m.modification_id
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
UPDATE pfa_modification AS m
SET state = 'synced',
    synced_at = %(at)s,
    claim_id = NULL,
    sent_version = NULL,
    sent_fields = NULL,
    sync_error = NULL
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
  AND m.state = 'syncing'
  AND m.claim_id = %(run_id)s
RETURNING m.modification_id::text;

-- name: reject
-- by: sync
-- returns: modification_id text
-- trail: reject m.modification_id
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
-- next_attempt_at null: final, a dead letter. sent_version null: PEMS certainly did not take it. Days are added to a time
-- of one zone: what depends on that of the session a distributed server takes in no CASE of an update.
UPDATE pfa_modification AS m
SET state = 'sync_error',
    claim_id = NULL,
    sent_version = c.sent_version,
    sent_fields = CASE WHEN c.sent_version IS NOT NULL THEN m.sent_fields END,
    generation = least(c.generation, 1000000),
    failures = least(c.failures, 1000000),
    next_attempt_at = CASE WHEN c.next_attempt_at IS NOT NULL
                           THEN least(c.next_attempt_at, (%(at)s::timestamptz AT TIME ZONE 'UTC'
                                                          + interval '7 days') AT TIME ZONE 'UTC') END,
    sync_error = left(c.message, 100000)
FROM jsonb_to_recordset(%(rejections)s) AS c (
    modification_id uuid, sent_version text, generation integer, failures integer,
    next_attempt_at timestamptz, message text)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = c.modification_id
  AND m.state = 'syncing'
  AND m.claim_id = %(run_id)s
RETURNING m.modification_id::text;

-- name: dispute
-- by: sync
-- returns: modification_id text
-- trail: dispute m.modification_id
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
-- unless: pfa_adds_to_deltas(%(organization_id)s, %(disputes)s)
-- The delta is written too: fields that PEMS owns have dropped out of it; those that their user owns
-- are based on what PEMS has by now.
UPDATE pfa_modification AS m
SET state = 'conflict',
    claim_id = NULL,
    sent_version = NULL,
    sent_fields = NULL,
    delta = c.delta,
    base = m.base || c.rebased,
    sync_error = NULL
FROM jsonb_to_recordset(%(disputes)s) AS c (modification_id uuid, delta jsonb, rebased jsonb)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = c.modification_id
  AND m.state = 'syncing'
  AND m.claim_id = %(run_id)s
RETURNING m.modification_id::text;

-- name: hand_back
-- by: sync
-- returns: modification_id text
-- trail: release m.modification_id
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
-- A claim that is released before it was sent: as if it had not been made.
UPDATE pfa_modification AS m
SET state = 'committed',
    claim_id = NULL,
    attempts = greatest(m.attempts - 1, 0),
    sent_version = c.sent_version,
    sent_fields = CASE WHEN c.sent_version IS NOT NULL THEN m.sent_fields END,
    generation = least(c.generation, 1000000),
    first_attempt_at = CASE WHEN m.attempts > 1 THEN m.first_attempt_at END
FROM jsonb_to_recordset(%(returns)s) AS c (
    modification_id uuid, sent_version text, generation integer)
WHERE m.organization_id = %(organization_id)s
  AND m.modification_id = c.modification_id
  AND m.state = 'syncing'
  AND m.claim_id = %(run_id)s
RETURNING m.modification_id::text;

-- name: recover
-- by: sync
-- returns: modification_id text, pfa_id text, attempts integer
-- unless: NOT pfa_holds_lease(%(organization_id)s, 'push', %(run_id)s)
-- unless: NOT pfa_is_own_run(%(organization_id)s, %(run_id)s)
-- Claims of runs that have ended. One that was never sent does not count as an attempt; the others keep
-- sent_version, so that the next claim reads the record back first.
UPDATE pfa_modification
SET state = 'committed',
    claim_id = NULL,
    attempts = CASE WHEN sent_version IS NULL THEN greatest(attempts - 1, 0) ELSE attempts END
WHERE organization_id = %(organization_id)s
  AND state = 'syncing'
  AND claim_id <> %(run_id)s
RETURNING modification_id::text, pfa_id, attempts;

-- name: shift_bases
-- The user's other changes of the record were made on top of this one: what PEMS has accepted of it becomes
-- their base, or the user would conflict with their own change.
UPDATE pfa_modification AS m
SET base = m.base || coalesce((
        SELECT jsonb_object_agg(f.key, f.value)
        FROM jsonb_each(s.delta) AS f (key, value)
        WHERE m.base ? f.key), '{}')
FROM jsonb_to_recordset(%(settled)s) AS s (user_id text, pfa_id text, delta jsonb)
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = s.user_id
  AND m.pfa_id = s.pfa_id
  AND m.state <> 'synced';

-- name: shift_bases@rls
-- The same for drafts of other users, which the pusher does not see.
SELECT pfa_shift_bases(%(settled)s);

-- name: next_due
-- When the next retry is due; null: no committed change waits for one.
SELECT min(next_attempt_at)
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND state = 'sync_error'
  AND next_attempt_at IS NOT NULL
  AND (%(session_id)s::text IS NULL OR session_id = %(session_id)s)
  AND (%(modification_ids)s::uuid[] IS NULL OR modification_id = ANY(%(modification_ids)s));

-- name: left
-- How many changes are still to be sent: committed ones, and retries that are due and that this run has not tried; how
-- many of them wait behind one of their user that needs a decision.
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM pfa_modification AS w
    WHERE w.organization_id = %(organization_id)s
      AND w.pfa_id = m.pfa_id
      AND w.user_id = m.user_id
      AND w.state IN ('sync_error', 'conflict')
      AND w.next_attempt_at IS NULL
      AND (w.committed_at, w.modification_id) < (m.committed_at, m.modification_id)))
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND (m.state = 'committed'
       OR m.state = 'sync_error' AND m.next_attempt_at <= statement_timestamp()
          AND m.modification_id <> ALL(%(tried)s::uuid[]))
  AND (%(session_id)s::text IS NULL OR m.session_id = %(session_id)s)
  AND (%(modification_ids)s::uuid[] IS NULL OR m.modification_id = ANY(%(modification_ids)s));

-- name: dead_letters
-- What PEMS rejected finally, and what has no attempts left; of one run, or all.
SELECT m.modification_id::text, m.pfa_id, m.user_id, m.session_id, m.delta, m.attempts,
       m.sync_error
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.state = 'sync_error'
  AND m.next_attempt_at IS NULL
  AND (%(run_id)s::uuid IS NULL OR EXISTS (
      SELECT FROM pfa_sync_outcome AS o
      WHERE o.organization_id = %(organization_id)s
        AND o.run_id = %(run_id)s
        AND o.modification_id = m.modification_id))
ORDER BY m.committed_at, m.modification_id
FOR UPDATE OF m;

-- name: due_again
-- What earlier runs tried and is due all the same: an interrupted retry leaves its dead letters so. A claim counts
-- where no push runs, whose own it may be. Of one run, or all.
SELECT m.modification_id::text
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.state IN ('committed', 'syncing', 'sync_error')
  AND (m.state = 'committed' AND m.attempts > 0
       OR m.state = 'sync_error' AND m.next_attempt_at <= %(at)s
       OR m.state = 'syncing' AND NOT EXISTS (
           SELECT FROM pfa_lease AS l
           WHERE l.organization_id = %(organization_id)s
             AND l.name = 'push'
             AND l.expires_at > %(at)s))
  AND (%(run_id)s::uuid IS NULL OR EXISTS (
      SELECT FROM pfa_sync_outcome AS o
      WHERE o.organization_id = %(organization_id)s
        AND o.run_id = %(run_id)s
        AND o.modification_id = m.modification_id))
ORDER BY m.committed_at, m.modification_id;

-- name: requeue
-- by: sync
-- trail: retry modification_id
UPDATE pfa_modification
SET next_attempt_at = %(at)s,
    failures = 0,
    first_attempt_at = %(at)s,
    -- PEMS answers a key that it refused with the same refusal; a key in doubt is kept.
    generation = CASE WHEN sent_version IS NULL THEN least(generation + 1, 1000000) ELSE generation END
WHERE organization_id = %(organization_id)s
  AND modification_id = ANY(%(modification_ids)s::uuid[])
  AND state = 'sync_error'
  AND next_attempt_at IS NULL;
