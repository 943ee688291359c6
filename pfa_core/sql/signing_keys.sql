-- The keys that verify tokens. Their secrets are written here and never read: only the verifier in the
-- database reads them.

-- name: keys
-- The newest first.
SELECT key_id, created_at, not_after, retired_at,
       retired_at IS NOT NULL OR coalesce(not_after <= statement_timestamp(), false) AS ended
FROM pfa_signing_key
ORDER BY created_at DESC, key_id;

-- name: register
-- A key that is known keeps its state; only an earlier end is taken over. No row: nothing was new.
INSERT INTO pfa_signing_key AS known (key_id, secret, created_at, not_after)
SELECT k.key_id, k.secret, %(at)s, k.not_after
FROM unnest(%(ids)s::text[], %(secrets)s::bytea[], %(ends)s::timestamptz[])
    AS k (key_id, secret, not_after)
ORDER BY k.key_id
ON CONFLICT (key_id) DO UPDATE
SET not_after = EXCLUDED.not_after
WHERE EXCLUDED.not_after < coalesce(known.not_after, 'infinity')
RETURNING key_id;

-- name: lock
SELECT key_id
FROM pfa_signing_key
ORDER BY key_id
FOR UPDATE;

-- name: end
UPDATE pfa_signing_key
SET not_after = least(not_after, %(not_after)s)
WHERE key_id = %(key_id)s;

-- name: retire
-- No row: no such key. One that was retired before keeps its time.
UPDATE pfa_signing_key
SET retired_at = coalesce(retired_at, %(at)s)
WHERE key_id = %(key_id)s
RETURNING key_id;
