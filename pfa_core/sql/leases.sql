-- Leases: one run at a time per organization and direction, by the database's clock. Times are read
-- from it first and handed back as parameters: a distributed server takes no volatile function in
-- a write.

-- name: clock
SELECT clock_timestamp();

-- name: acquire
-- by: sync, refresh_data, import
-- returns: owner_id uuid
-- unless: NOT pfa_may_run(%(name)s)
-- No row: another run holds it. `gone`: an owner known to be dead, whose lease need not expire first.
-- `too_late`: a lease that expires after it is from before the database's clock was set back.
INSERT INTO pfa_lease AS l (organization_id, name, owner_id, owner, host, pid,
                            acquired_at, heartbeat_at, expires_at)
VALUES (%(organization_id)s, %(name)s, %(owner_id)s, %(owner)s, %(host)s, %(pid)s,
        %(at)s, %(at)s, %(until)s)
ON CONFLICT (organization_id, name) DO UPDATE
SET owner_id = EXCLUDED.owner_id,
    owner = EXCLUDED.owner,
    host = EXCLUDED.host,
    pid = EXCLUDED.pid,
    acquired_at = EXCLUDED.acquired_at,
    heartbeat_at = EXCLUDED.heartbeat_at,
    expires_at = EXCLUDED.expires_at
WHERE l.expires_at <= EXCLUDED.acquired_at
   OR l.expires_at > %(too_late)s
   OR l.owner_id = %(gone)s
RETURNING owner_id;

-- name: holder
-- No row: it was never held, or it was released.
SELECT owner_id::text, owner, host, pid, acquired_at, heartbeat_at, expires_at
FROM pfa_lease
WHERE organization_id = %(organization_id)s
  AND name = %(name)s;

-- name: beat
-- by: sync, refresh_data, import
-- returns: owner_id uuid
-- unless: NOT pfa_may_run(%(name)s)
-- unless: pfa_is_lease_of_another(%(organization_id)s, %(name)s, %(owner_id)s)
-- No row: another run holds it by now.
UPDATE pfa_lease
SET heartbeat_at = %(at)s,
    expires_at = %(until)s
WHERE organization_id = %(organization_id)s
  AND name = %(name)s
  AND owner_id = %(owner_id)s
RETURNING owner_id;

-- name: release
-- by: sync, refresh_data, import
-- unless: NOT pfa_may_run(%(name)s)
-- unless: pfa_is_lease_of_another(%(organization_id)s, %(name)s, %(owner_id)s)
DELETE FROM pfa_lease
WHERE organization_id = %(organization_id)s
  AND name = %(name)s
  AND owner_id = %(owner_id)s;
