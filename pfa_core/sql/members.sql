-- Organizations and their members.

-- name: organization
-- No row: unknown organization.
SELECT organization_id, name, status, created_at, currency, rate_uom, foreign_currency, max_records, max_money,
       max_percent
FROM pfa_organization
WHERE organization_id = %(organization_id)s;

-- name: is_archived
-- No row: it is not.
SELECT organization_id
FROM pfa_organization
WHERE organization_id = %(organization_id)s
  AND status = 'archived';

-- name: costing
SELECT currency, rate_uom
FROM pfa_organization
WHERE organization_id = %(organization_id)s;

-- name: guards
-- The most that one commit or one push may change, and whether it is exchanged with PEMS.
SELECT max_records, max_money, max_percent, status = 'active'
FROM pfa_organization
WHERE organization_id = %(organization_id)s;

-- name: only_currency
-- The only currency that a pull takes. No row: it takes all.
SELECT currency
FROM pfa_organization
WHERE organization_id = %(organization_id)s
  AND foreign_currency = 'refuse';

-- name: put_settings
-- by: manage_settings
-- trail: configure
UPDATE pfa_organization
SET currency = %(currency)s,
    rate_uom = %(rate_uom)s,
    foreign_currency = %(foreign_currency)s,
    max_records = %(max_records)s,
    max_money = %(max_money)s,
    max_percent = %(max_percent)s
WHERE organization_id = %(organization_id)s;

-- name: add_organization
-- No row: it was there before.
INSERT INTO pfa_organization (organization_id, name, created_at)
VALUES (%(organization_id)s, %(name)s, %(at)s)
ON CONFLICT (organization_id) DO NOTHING
RETURNING organization_id;

-- name: lock_members
-- In the order of their names, so that two who change members never wait for each other in a ring.
SELECT user_id
FROM pfa_member
WHERE organization_id = %(organization_id)s
ORDER BY user_id
FOR UPDATE;

-- name: lock_mirror
-- Writers of an organization's mirror run one after the other.
SELECT organization_id
FROM pfa_organization
WHERE organization_id = %(organization_id)s
FOR NO KEY UPDATE;

-- name: member
-- No row: not a member.
SELECT organization_id, user_id, role, rights, granted_by, granted_at
FROM pfa_member
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s;

-- name: member_locked
-- The same, and the user's other writing transactions wait behind this one.
SELECT organization_id, user_id, role, rights, granted_by, granted_at
FROM pfa_member
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
FOR NO KEY UPDATE;

-- name: token_membership
-- The membership of a token's user, and whether token or key were ended meanwhile. A token or key that is
-- not in its table counts as not ended, unless all tokens of its time were. No row: not a member. {locking} lets
-- the user's other writing transactions wait behind this one.
SELECT m.organization_id, m.user_id, m.role, m.rights, m.granted_by, m.granted_at,
       EXISTS (
           SELECT FROM pfa_token AS t
           WHERE t.organization_id = %(organization_id)s
             AND t.token_id = %(token_id)s
             AND t.revoked_at IS NOT NULL
       ) OR coalesce(m.tokens_since > %(issued_at)s, false) AS token_revoked,
       EXISTS (
           SELECT FROM pfa_signing_key AS k
           WHERE k.key_id = %(key_id)s
             AND (k.retired_at IS NOT NULL OR k.not_after <= statement_timestamp())
       ) AS key_ended
FROM pfa_member AS m
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = %(user_id)s
{locking};

-- name: locking
FOR NO KEY UPDATE OF m

-- name: lock_users
-- Their writing transactions wait until this one ends. Users who are members no more have no row.
SELECT user_id
FROM pfa_member
WHERE organization_id = %(organization_id)s
  AND user_id = ANY(%(users)s)
ORDER BY user_id
FOR NO KEY UPDATE;

-- name: members
SELECT organization_id, user_id, role, rights, granted_by, granted_at
FROM pfa_member
WHERE organization_id = %(organization_id)s
ORDER BY {order}
LIMIT %(limit)s

-- name: put_member
-- by: manage_users; subject
-- trail: grant
-- returns: organization_id text, user_id text, role text, rights text[], granted_by text, granted_at timestamptz
-- unless: NOT %(rights)s <@ pfa_rights()
-- Who was a member before has tokens of that time: none of them is good again. The trail keeps who was. Tokens have
-- whole seconds, and the last one may be of one to come, as the mark before let it.
INSERT INTO pfa_member (organization_id, user_id, role, rights, granted_by, granted_at, tokens_since)
SELECT %(organization_id)s, %(user_id)s, %(role)s, %(rights)s, %(granted_by)s, %(at)s,
       CASE WHEN count(*) > 0 THEN interval '1 second' + greatest(
           date_trunc('second', %(at)s::timestamptz),
           (SELECT max(t.issued_at)
            FROM pfa_token AS t
            WHERE t.organization_id = %(organization_id)s
              AND t.user_id = %(user_id)s
              AND t.issued_at < %(at)s::timestamptz + interval '1 minute')) END
FROM audit_log AS e
WHERE e.organization_id = %(organization_id)s
  AND e.action = 'revoke'
  AND e.before ->> 'user' = %(user_id)s
ON CONFLICT (organization_id, user_id) DO UPDATE
SET role = EXCLUDED.role,
    rights = EXCLUDED.rights,
    granted_by = EXCLUDED.granted_by,
    granted_at = EXCLUDED.granted_at
RETURNING organization_id, user_id, role, rights, granted_by, granted_at;

-- name: delete_member
-- by: manage_users; subject
-- trail: revoke
-- returns: organization_id text, user_id text, role text, rights text[], granted_by text, granted_at timestamptz
-- No row: there was nothing to revoke.
DELETE FROM pfa_member
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s
RETURNING organization_id, user_id, role, rights, granted_by, granted_at;

-- name: tokens_since
-- A token of the user that was issued before it is refused. Null: none is.
SELECT tokens_since
FROM pfa_member
WHERE organization_id = %(organization_id)s
  AND user_id = %(user_id)s;

-- name: end_tokens
-- Ends every token of a user, or of all, that was issued until now, whether the register has it or not. Tokens have
-- whole seconds: the next one is the first that is good. A member whose row is locked is left out. The time is computed
-- beside the update: a distributed server computes none of a column there, since it depends on the session's zone.
WITH locked AS (
    SELECT m.user_id,
           greatest(date_trunc('second', %(at)s::timestamptz), m.tokens_since) + interval '1 second' AS since
    FROM pfa_member AS m
    WHERE m.organization_id = %(organization_id)s
      AND (%(user_id)s::text IS NULL OR m.user_id = %(user_id)s)
    ORDER BY m.user_id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE pfa_member AS m
SET tokens_since = l.since
FROM locked AS l
WHERE m.organization_id = %(organization_id)s
  AND m.user_id = l.user_id
RETURNING m.user_id;

-- name: end_tokens@rls
SELECT * FROM pfa_end_tokens(%(user_id)s);

-- name: count_admins
SELECT count(*)
FROM pfa_member
WHERE organization_id = %(organization_id)s
  AND role = 'admin'
  AND 'manage_users' = ANY(rights);
