-- Modifications: the user's half of the life cycle. Every block that changes rows is guarded by
-- the state it expects; the user's membership row is locked before (members.member_locked).

-- name: of_records, of_records@one
-- The caller's active modifications of some records, oldest committed change first, the draft last.
SELECT modification_id::text, pfa_id, session_id, state, delta, base, base_version, version,
       change_reason, created_at, updated_at, committed_at, attempts, generation,
       state = 'syncing' OR sent_version IS NOT NULL AS sent
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND pfa_id = ANY(%(ids)s)
  AND state <> 'synced'
ORDER BY pfa_id, state = 'draft', committed_at, modification_id
FOR UPDATE;

-- name: hold
-- The same, locked in their order, without the content.
SELECT pfa_id
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND pfa_id = ANY(%(ids)s)
  AND state <> 'synced'
ORDER BY pfa_id, state = 'draft', committed_at, modification_id
FOR UPDATE;

-- name: active, active@one
-- The same without locks, of every record or one session.
SELECT modification_id::text, pfa_id, session_id, state, delta, base, base_version, version,
       change_reason, created_at, updated_at, committed_at, attempts, generation,
       state = 'syncing' OR sent_version IS NOT NULL AS sent
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND state <> 'synced'
  AND (%(ids)s::text[] IS NULL OR pfa_id = ANY(%(ids)s))
ORDER BY pfa_id, state = 'draft', committed_at, modification_id;

-- name: in_order
-- Which modifications the caller has in some states, and in some sessions or any, in an order of theirs.
SELECT modification_id::text, pfa_id
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND state = ANY(%(states)s)
  AND (%(sessions)s::text[] IS NULL OR session_id = ANY(%(sessions)s))
ORDER BY {order}

-- name: committed
-- The caller's committed changes that a selection names, in PFA id order, and what a push could not send and PEMS
-- surely has not; whether a push has tried to send a committed one.
SELECT modification_id::text, pfa_id, version, state = 'committed' AND attempts > 0
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND (state = 'committed'
       OR (state = 'sync_error' AND sent_version IS NULL))
  {of_session}
  {among}
ORDER BY pfa_id, committed_at, modification_id
FOR UPDATE

-- name: of_session
AND session_id = %(session_id)s

-- name: among, among@one
AND pfa_id = ANY(%(ids)s)

-- name: by_id, by_id@one
-- The caller's modifications of these ids, in PFA id order.
SELECT modification_id::text, pfa_id, session_id, state, delta, base, base_version, version,
       change_reason, created_at, updated_at, committed_at, attempts, generation,
       state = 'syncing' OR sent_version IS NOT NULL AS sent
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s::uuid[])
ORDER BY pfa_id;

-- name: drafts
-- The caller's drafts that a selection names, in PFA id order. Nothing is locked: the caller's membership row is,
-- which every other writer of a draft locks first.
SELECT modification_id::text, pfa_id, version
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND state = 'draft'
  {of_session}
  {among}
ORDER BY pfa_id

-- name: outdated, outdated@one
-- Of these drafts, those that are not the caller's only modification of a record whose version has not changed
-- since. All modifications of these records are read at once: one by one, a planner that expects one row of the
-- caller's would read all of them for each. Most are up to date: what is sent back is the few others.
SELECT i.id::text
FROM unnest(%(modification_ids)s::uuid[]) AS i (id)
EXCEPT
SELECT m.modification_id::text
FROM (
    SELECT l.modification_id, l.pfa_id, l.base_version,
           count(*) OVER (PARTITION BY l.pfa_id) = 1 AS is_only
    FROM pfa_modification AS l
    WHERE l.organization_id = %(organization_id)s
      AND l.user_id = %(user_id)s
      AND l.pfa_id = ANY(%(ids)s)
      AND l.state <> 'synced'
) AS m
WHERE m.is_only
  AND m.base_version = (
      SELECT r.version
      FROM pfa_mirror AS r
      WHERE r.organization_id = %(organization_id)s
        AND r.pfa_id = m.pfa_id);

-- name: synced_of, synced_of@one
-- Of these modifications those of the caller's that PEMS has taken, in that order.
SELECT pfa_id, synced_at, delta
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s::uuid[])
  AND state = 'synced'
ORDER BY synced_at, modification_id;

-- name: fields_of
-- Which fields these modifications of the caller's change.
SELECT DISTINCT f.name
FROM pfa_modification AS m
CROSS JOIN LATERAL jsonb_object_keys(m.delta) AS f (name)
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.modification_id = ANY(%(modification_ids)s::uuid[])
ORDER BY f.name;

-- name: states_of_session
-- In which states the caller's modifications of a session are, and how many; synced ones too.
SELECT state, count(*)
FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND session_id = %(session_id)s
GROUP BY state;

-- name: insert_drafts
-- by: save_draft, commit
-- deltas: %(drafts)s
-- trail: write modification_id
INSERT INTO pfa_modification (
    organization_id, modification_id, pfa_id, user_id, session_id, state, delta, base,
    base_version, version, change_reason, created_at, updated_at)
SELECT %(organization_id)s, d.modification_id, d.pfa_id, %(user_id)s, d.session_id, 'draft',
       d.delta, d.base, d.base_version, 1, d.change_reason, %(at)s, %(at)s
FROM jsonb_to_recordset(%(drafts)s) AS d (
    modification_id uuid, pfa_id text, session_id text, delta jsonb, base jsonb,
    base_version integer, change_reason text)
ORDER BY d.pfa_id
RETURNING modification_id;

-- name: update_found
-- Each draft is raised to the version after the one that was read, found as `found` says. What comes over an older
-- version of the record makes the whole draft one over it.
UPDATE pfa_modification AS m
SET delta = d.delta,
    base = d.base,
    base_version = least(d.base_version, m.base_version),
    session_id = d.session_id,
    change_reason = coalesce(d.change_reason, m.change_reason),
    version = least(m.version + 1, 2000000000),
    updated_at = %(at)s
FROM jsonb_to_recordset(%(drafts)s) AS d (
    modification_id uuid, session_id text, delta jsonb, base jsonb, base_version integer,
    change_reason text, version integer)
WHERE m.organization_id = %(organization_id)s
  AND {found}
  AND m.version = d.version

-- name: commit_found
-- The delta is written too: fields that PEMS has by now have dropped out of it.
UPDATE pfa_modification AS m
SET state = 'committed',
    delta = d.delta,
    version = least(m.version + 1, 2000000000),
    committed_at = %(at)s,
    updated_at = %(at)s
FROM jsonb_to_recordset(%(drafts)s) AS d (modification_id uuid, delta jsonb, version integer)
WHERE m.organization_id = %(organization_id)s
  AND {found}
  AND m.version = d.version

-- name: found
-- Their ids are a parameter of their own, so that each is looked up.
m.modification_id = ANY(%(modification_ids)s::uuid[])
  AND m.modification_id = d.modification_id
  AND m.user_id = %(user_id)s
  AND m.state = 'draft'

-- name: found_one
-- One is found by an equality, which is planned once.
m.modification_id = (%(modification_ids)s::uuid[])[1]
  AND m.modification_id = d.modification_id
  AND m.user_id = %(user_id)s
  AND m.state = 'draft'

-- name: update_drafts
-- by: save_draft, commit
-- deltas: %(drafts)s
-- trail: write m.modification_id
-- from: update_found(found = found)

-- name: update_draft
-- by: save_draft, commit
-- deltas: %(drafts)s
-- trail: write m.modification_id
-- from: update_found(found = found_one)

-- name: commit_drafts
-- by: commit
-- deltas: %(drafts)s
-- trail: commit m.modification_id
-- from: commit_found(found = found)

-- name: commit_draft
-- by: commit
-- deltas: %(drafts)s
-- trail: commit m.modification_id
-- from: commit_found(found = found_one)

-- name: delete_drafts, delete_drafts@one
-- by: save_draft, commit
-- trail: delete modification_id
DELETE FROM pfa_modification
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s)
  AND state = 'draft';

-- name: commit_up_to_date, commit_up_to_date@one
-- by: commit
-- deltas: pfa_deltas_of(%(modification_ids)s::uuid[])
-- trail: commit modification_id
UPDATE pfa_modification
SET state = 'committed',
    version = least(version + 1, 2000000000),
    committed_at = %(at)s,
    updated_at = %(at)s
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s::uuid[])
  AND state = 'draft';

-- name: uncommit, uncommit@one
-- by: commit
-- trail: uncommit modification_id
UPDATE pfa_modification
SET state = 'draft',
    version = least(version + 1, 2000000000),
    committed_at = NULL,
    updated_at = %(at)s,
    attempts = 0,
    failures = 0,
    first_attempt_at = NULL,
    next_attempt_at = NULL,
    sync_error = NULL
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
  AND modification_id = ANY(%(modification_ids)s)
  AND ((state = 'committed' AND attempts = 0)
       OR (state = 'sync_error' AND sent_version IS NULL));

-- name: sessions
-- The caller's sessions by state, the latest change first.
SELECT m.session_id, m.state, count(*) AS records, max(m.updated_at) AS last_change,
       count(*) FILTER (WHERE m.next_attempt_at IS NOT NULL) AS retrying
FROM pfa_modification AS m
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.state <> 'synced'
GROUP BY m.session_id, m.state
ORDER BY max(m.updated_at) DESC, m.session_id, m.state;

-- name: stale
-- The caller's active modifications whose mirror row changed since they were drafted. Where a later one of a
-- record is among them, so is an earlier one whose send the mirror shows: the mirror row changed after it.
SELECT m.modification_id::text, m.pfa_id, m.session_id, m.state, m.delta, m.base, m.base_version,
       m.version, m.change_reason, m.created_at, m.updated_at, m.committed_at, m.attempts, m.generation,
       m.state = 'syncing' OR m.sent_version IS NOT NULL AS sent
FROM pfa_modification AS m
JOIN pfa_mirror AS r ON r.organization_id = %(organization_id)s AND r.pfa_id = m.pfa_id
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
  AND m.state <> 'synced'
  AND r.version > m.base_version
ORDER BY m.pfa_id, m.state = 'draft', m.committed_at, m.modification_id;
