-- Access: the keys that sign tokens, the register of the tokens that were issued, and a verifier, so
-- that the database itself can tell what a token says. Service principals become members.

-- What a service holds are the rights it was issued and no template's; none of them touches a draft or
-- manages anything. The prefix keeps its name apart from those of people.
ALTER TABLE pfa_member
    DROP CONSTRAINT pfa_member_role_check,
    ADD CONSTRAINT pfa_member_role_check
        CHECK (role IN ('viewer', 'editor', 'admin', 'service')),
    ADD CONSTRAINT pfa_member_service_check CHECK (
        role <> 'service'
        OR (user_id LIKE 'service:_%'
            AND rights <@ ARRAY['read', 'export', 'view_financials', 'sync', 'import',
                                'refresh_data']));

-- One half of HMAC-SHA256's key (RFC 2104): the secret, hashed when it is longer than a block of 64
-- bytes, filled up with zeros, each byte XOR pad.
CREATE FUNCTION pfa_hmac_pad(secret bytea, pad integer) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT string_agg(
        set_byte('\x00'::bytea, 0,
                 (CASE WHEN b.place < length(k.bytes) THEN get_byte(k.bytes, b.place) ELSE 0 END)
                 # pad),
        ''::bytea ORDER BY b.place)
    FROM (SELECT CASE WHEN length(secret) > 64 THEN sha256(secret) ELSE secret END) AS k (bytes)
    CROSS JOIN generate_series(0, 63) AS b (place));

-- The keys that sign and verify tokens. Tokens hold several organizations, so keys belong to the
-- installation: the one table of secrets, and besides the list of migrations the only one without an
-- organization. It is small, refers to nothing and is kept whole everywhere.
-- The key id names the content, so that no other secret can take a known key's place.
--   not_after   until when it verifies, when another has taken its place; null: no end is set
--   retired_at  ended at once, whatever not_after says; the row stays, so that the key never comes back
CREATE TABLE pfa_signing_key (
    key_id     text COLLATE "C" PRIMARY KEY,
    secret     bytea NOT NULL CHECK (length(secret) > 0),
    created_at timestamptz NOT NULL,
    not_after  timestamptz,
    retired_at timestamptz,
    inner_key  bytea GENERATED ALWAYS AS (pfa_hmac_pad(secret, 54)) STORED,
    outer_key  bytea GENERATED ALWAYS AS (pfa_hmac_pad(secret, 92)) STORED,
    CONSTRAINT pfa_signing_key_id_check CHECK (
        key_id = encode(substr(sha256('pfa signing key '::bytea || secret), 1, 8), 'hex'))
);

-- Every token that was issued, a row for each of its organizations: what one organization revokes
-- ends there and nowhere else. Never the token itself.
--   narrowed  it holds less than its member had: a refresh never widens it
--   replaces  the token that it was refreshed from
CREATE TABLE pfa_token (
    organization_id text COLLATE "C" NOT NULL,
    token_id        text COLLATE "C" NOT NULL CHECK (token_id <> ''),
    user_id         text COLLATE "C" NOT NULL CHECK (user_id <> ''),
    kind            text NOT NULL CHECK (kind IN ('user', 'service')),
    role            text NOT NULL,
    rights          text[] NOT NULL,
    narrowed        boolean NOT NULL,
    organizations   text[] COLLATE "C" NOT NULL,
    key_id          text NOT NULL,
    issued_at       timestamptz NOT NULL,
    issued_by       text NOT NULL,
    expires_at      timestamptz NOT NULL,
    replaces        text,
    revoked_at      timestamptz,
    revoked_by      text,
    PRIMARY KEY (organization_id, token_id),
    CHECK (organization_id = ANY (organizations)),
    CHECK ((kind = 'service') = (role = 'service')),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
-- The living tokens of an organization; what has ended is read only when it is asked for.
CREATE INDEX pfa_token_expiry ON pfa_token (organization_id, expires_at);

-- The words a token may use, the same as in pfa_core.model.principal.
CREATE FUNCTION pfa_token_roles() RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '["viewer", "editor", "admin", "service"]'::jsonb;
CREATE FUNCTION pfa_token_rights() RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '["read", "export", "view_financials", "save_draft", "edit_forecast", "edit_actuals", "sync",
         "import", "refresh_data", "manage_users", "manage_settings"]'::jsonb;

-- The form of a token: pfa_core.model.tokenform says the same in Python, and a property test holds
-- the two together. Each of the following yields null for what it refuses.

-- Bytes in base64url without padding, spelled in the one canonical way: no loose bits at the end. That
-- all characters are base64url's own was seen to before.
CREATE FUNCTION pfa_base64url(part text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    content bytea;
BEGIN
    IF length(part) % 4 = 1 THEN
        RETURN NULL;
    END IF;
    content := decode(rpad(translate(part, '-_', '+/'), (length(part) + 3) / 4 * 4, '='), 'base64');
    IF translate(encode(content, 'base64'), E'+/=\n', '-_') <> part THEN
        RETURN NULL;
    END IF;
    RETURN content;
END $$;

-- The header: alg, typ and kid, each at most once, as plain words. It is read before anything vouches
-- for it, so nothing else gets as far as a JSON parser.
CREATE FUNCTION pfa_token_header(content bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    -- As escaped text every byte beyond ASCII has a backslash, which the pattern has not.
    written text COLLATE "C" := encode(content, 'escape');
    header  jsonb;
BEGIN
    IF written !~ ('^[ \t\n\r]*\{[ \t\n\r]*"(alg|typ|kid)"[ \t\n\r]*:[ \t\n\r]*"[A-Za-z0-9_-]+"'
        || '([ \t\n\r]*,[ \t\n\r]*"(alg|typ|kid)"[ \t\n\r]*:[ \t\n\r]*"[A-Za-z0-9_-]+")*'
        || '[ \t\n\r]*\}[ \t\n\r]*$') THEN
        RETURN NULL;
    END IF;
    header := written::jsonb;
    IF length(written) - length(replace(written, ':', ''))
        <> (SELECT count(*) FROM jsonb_object_keys(header)) THEN
        RETURN NULL;
    END IF;
    RETURN header;
END $$;

-- A payload as JSON of a plain kind: UTF-8, whole numbers of at most 15 digits, at most 8 deep, no NUL
-- and no half of a surrogate pair. On these every JSON parser says the same.
CREATE FUNCTION pfa_token_payload(content bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    written text COLLATE "C";
    escapes text COLLATE "C";
    bones   text COLLATE "C";
BEGIN
    written := convert_from(content, 'UTF8');
    -- Escaped backslashes first: what is left of them begins an escape.
    escapes := replace(written, '\\', '__');
    IF position('\u' IN escapes) > 0 AND (escapes ~ '\\u0000' OR regexp_replace(
        escapes, '\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '_', 'g'
    ) ~ '\\u[dD][89a-fA-F]') THEN
        RETURN NULL;
    END IF;
    bones := regexp_replace(replace(escapes, '\"', '_'), '"[^"]*"', '""', 'g');
    IF bones ~ '[^][{}:,"a-z0-9 \t\n\r-]|[0-9]e|[0-9]{16}' THEN
        RETURN NULL;
    END IF;
    -- Eight brackets in all cannot be nested deeper.
    IF length(bones) - length(translate(bones, '[{', '')) > 8 THEN
        FOR depth IN 1..8 LOOP
            EXIT WHEN bones !~ '[][{}]';
            bones := regexp_replace(bones, '[[{][^][{}]*[]}]', '', 'g');
        END LOOP;
        IF bones ~ '[][{}]' THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN written::jsonb;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- Whether the payload is one of ours and good at that time.
CREATE FUNCTION pfa_token_is_good(payload jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    -- Seconds from 1970 until the last that Python has a name for, in the year 9999.
    latest  constant bigint := 253402300799;
    issued  bigint;
    expires bigint;
    begins  bigint;
BEGIN
    IF (jsonb_typeof(payload) = 'object'
        AND jsonb_typeof(payload -> 'sub') = 'string' AND payload ->> 'sub' <> ''
        AND jsonb_typeof(payload -> 'jti') = 'string' AND payload ->> 'jti' <> ''
        AND jsonb_typeof(payload -> 'iat') = 'number'
        AND jsonb_typeof(payload -> 'exp') = 'number'
        AND coalesce(jsonb_typeof(payload -> 'nbf'), 'number') = 'number'
        AND NOT payload ? 'aud'
        AND jsonb_typeof(payload -> 'organizations') = 'object') IS NOT TRUE THEN
        RETURN false;
    END IF;
    issued := payload ->> 'iat';
    expires := payload ->> 'exp';
    begins := payload ->> 'nbf';
    IF issued NOT BETWEEN 0 AND latest OR expires NOT BETWEEN 0 AND latest
        OR to_timestamp(expires) <= at
        OR (begins IS NOT NULL AND (begins NOT BETWEEN 0 AND latest OR to_timestamp(begins) > at)) THEN
        RETURN false;
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM jsonb_each(payload -> 'organizations') AS granted (code, content)
        WHERE (jsonb_typeof(content) = 'object'
            AND jsonb_typeof(content -> 'role') = 'string'
            AND content -> 'role' <@ pfa_token_roles()
            AND jsonb_typeof(content -> 'rights') = 'array'
            AND content -> 'rights' <@ pfa_token_rights()) IS NOT TRUE);
END $$;

-- What a token says, if a key that is in force signed it and it is good at that time; no row otherwise.
-- Organizations that revoked it are left out, and a token that all of them revoked is refused.
-- pfa_core.tokens.verify decides the same but for what was revoked.
CREATE FUNCTION pfa_verify_token(token text, at timestamptz)
RETURNS TABLE (user_id text, token_id text, key_id text, issued_at timestamptz,
               expires_at timestamptz, organizations jsonb)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER AS $$
DECLARE
    parts     text[];
    header    jsonb;
    signature bytea;
    signed    bytea;
    payload   jsonb;
    by_key    text;
    living    jsonb;
BEGIN
    IF length(token) > 262144
        OR token COLLATE "C" !~ '^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' THEN
        RETURN;
    END IF;
    parts := string_to_array(token, '.');
    header := pfa_token_header(pfa_base64url(parts[1]));
    signature := pfa_base64url(parts[3]);
    IF header ->> 'alg' IS DISTINCT FROM 'HS256' OR coalesce(header ->> 'typ', 'JWT') <> 'JWT'
        OR signature IS NULL THEN
        RETURN;
    END IF;
    signed := convert_to(parts[1] || '.' || parts[2], 'UTF8');
    -- Both sides are hashed once more, so that the time a comparison takes tells nothing of them.
    SELECT k.key_id INTO by_key
    FROM pfa_signing_key AS k
    WHERE (NOT header ? 'kid' OR k.key_id = header ->> 'kid')
      AND k.retired_at IS NULL
      AND (k.not_after IS NULL OR k.not_after > at)
      AND sha256(sha256(k.outer_key || sha256(k.inner_key || signed))) = sha256(signature)
    LIMIT 1;
    IF by_key IS NULL THEN
        RETURN;
    END IF;
    payload := pfa_token_payload(pfa_base64url(parts[2]));
    IF pfa_token_is_good(payload, at) IS NOT TRUE THEN
        RETURN;
    END IF;
    SELECT coalesce(jsonb_object_agg(granted.code, granted.content), '{}') INTO living
    FROM jsonb_each(payload -> 'organizations') AS granted (code, content)
    WHERE NOT EXISTS (
        SELECT FROM pfa_token AS t
        WHERE t.organization_id = granted.code
          AND t.token_id = payload ->> 'jti'
          AND t.revoked_at IS NOT NULL);
    IF living = '{}' AND payload -> 'organizations' <> '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT payload ->> 'sub', payload ->> 'jti', by_key,
        to_timestamp((payload ->> 'iat')::bigint), to_timestamp((payload ->> 'exp')::bigint), living;
END $$;

-- It runs with its owner's rights: what it calls is found in the catalog and in our schema, and nowhere
-- where somebody else could have put it; and its texts mean the same whatever the caller has set.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION pfa_verify_token(text, timestamptz)'
        || ' SET search_path = pg_catalog, %I, pg_temp', current_schema());
END $$;
ALTER FUNCTION pfa_verify_token(text, timestamptz) SET standard_conforming_strings = on;

-- Nobody but the owner: who may ask is granted by name.
REVOKE ALL ON TABLE pfa_signing_key, pfa_token FROM PUBLIC;
REVOKE ALL ON FUNCTION pfa_hmac_pad(bytea, integer), pfa_token_roles(), pfa_token_rights(),
    pfa_base64url(text), pfa_token_header(bytea), pfa_token_payload(bytea),
    pfa_token_is_good(jsonb, timestamptz), pfa_verify_token(text, timestamptz) FROM PUBLIC;
