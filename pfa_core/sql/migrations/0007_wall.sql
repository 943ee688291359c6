-- The wall: row level security, so that a role that can log in but has no right sees nothing. Who acts
-- is told by a token that the database verifies itself (pfa_enter); what that says holds for one
-- transaction of one connection, and nobody can write it down by hand.

-- The role that the program works as. It owns nothing and may log in only where somebody lets it:
-- people's own login roles are members of it.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pfa_app') THEN
        CREATE ROLE pfa_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server was upgraded at the same moment
END $$;

-- What signs a context, as the two halves of HMAC-SHA256's key; made here, known to nobody else.
CREATE TABLE pfa_wall (
    only_one  boolean PRIMARY KEY CHECK (only_one),
    inner_key bytea NOT NULL,
    outer_key bytea NOT NULL
);
INSERT INTO pfa_wall (only_one, inner_key, outer_key)
SELECT true, pfa_hmac_pad(made.secret, 54), pfa_hmac_pad(made.secret, 92)
FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                    || uuid_send(gen_random_uuid()))) AS made (secret);

-- A context is good in the connection and the transaction that it was made in: the server process and
-- the moment the transaction began are signed with it. It ends with the token, and after an hour: a
-- transaction that is held open does not keep what was taken from its user meanwhile.
CREATE FUNCTION pfa_sign_context(content text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
BEGIN
    RETURN (SELECT encode(sha256(k.outer_key || sha256(
                k.inner_key || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
                || convert_to(content, 'UTF8'))), 'hex')
            FROM pfa_wall AS k);
END $$;

-- Who acts: organization for its records (null in the scope `member`, which has none), organization,
-- scope, rights, user. Null when nobody does, or somebody wrote the setting by hand. A worker process
-- has another pid, so that only the leader may ask.
CREATE FUNCTION pfa_context() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER AS $$
DECLARE
    told  text := current_setting('pfa.context', true);
    kept  pfa_wall;
    parts text[];
BEGIN
    IF told IS NULL OR length(told) < 66 THEN
        RETURN NULL;
    END IF;
    SELECT * INTO kept FROM pfa_wall;
    -- As pfa_sign_context, once more so that policies wait for one call less. 64 digits and a blank;
    -- compared as digests, so that the time it takes tells nothing.
    IF sha256(convert_to(left(told, 64), 'UTF8')) <> sha256(convert_to(encode(
        sha256(kept.outer_key || sha256(kept.inner_key || int4send(pg_backend_pid())
            || timestamptz_send(transaction_timestamp()) || convert_to(substr(told, 66), 'UTF8'))),
        'hex'), 'UTF8')) THEN
        RETURN NULL;
    END IF;
    parts := string_to_array(substr(told, 66), ' ');
    IF to_timestamp(parts[4]::double precision) < clock_timestamp() THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY[CASE WHEN parts[2] <> 'member' THEN parts[1] END, parts[1], parts[2], parts[3],
                 array_to_string(parts[5:], ' ')];
END $$;

-- What policies ask; plain enough for the planner to put the one call of pfa_context in their place.
CREATE FUNCTION pfa_organization() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[1];
CREATE FUNCTION pfa_home() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[2];
CREATE FUNCTION pfa_scope() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[3];
CREATE FUNCTION pfa_user() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[5];
-- Whether token and membership both give the right.
CREATE FUNCTION pfa_may(wanted text) RETURNS boolean LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN wanted = ANY (string_to_array((pfa_context())[4], ','));
-- The rights that token and membership both give.
CREATE FUNCTION pfa_held() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[4];
-- Whether the scope is an admin's, who settles conflicts of others and repairs what they are shown.
CREATE FUNCTION pfa_sees_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[3] IN ('manage_users', 'manage_settings');
-- Whether the scope is one of those.
CREATE FUNCTION pfa_is_about(scopes text[]) RETURNS boolean LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[3] = ANY (scopes);

-- Says why a token is refused.
CREATE FUNCTION pfa_refuse_token(token text, organization text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    payload jsonb := pfa_token_payload(pfa_base64url(split_part(token, '.', 2)));
    issued  timestamptz;
BEGIN
    IF EXISTS (SELECT FROM pfa_token AS t WHERE t.organization_id = organization
               AND t.token_id = payload ->> 'jti' AND t.revoked_at IS NOT NULL) THEN
        RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
    END IF;
    BEGIN
        issued := to_timestamp((payload ->> 'iat')::bigint);
    EXCEPTION WHEN data_exception THEN
        issued := NULL;
    END;
    IF EXISTS (SELECT FROM pfa_verify_token(token, issued)) THEN
        IF to_timestamp((payload ->> 'exp')::bigint) <= clock_timestamp() THEN
            RAISE SQLSTATE 'PFA02' USING MESSAGE = 'the token has expired';
        END IF;
        RAISE SQLSTATE 'PFA05' USING MESSAGE = 'the key that signed the token has ended';
    END IF;
    RAISE SQLSTATE 'PFA01' USING MESSAGE = 'the token is not signed with a key that this database knows';
END $$;

-- What a token says, remembered by the session: that it was verified stays true, and is signed for the
-- token itself. What can end it is looked at anew: its life, its key; pfa_enter looks at its revocation.
-- Null: nothing is remembered of this one.
CREATE FUNCTION pfa_recall_token(token text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    kept text := current_setting('pfa.verified', true);
    said jsonb;
BEGIN
    IF kept IS NULL OR length(kept) < 66 OR sha256(convert_to(left(kept, 64), 'UTF8'))
        <> sha256(convert_to(pfa_sign_token(token, substr(kept, 66)), 'UTF8')) THEN
        RETURN NULL;
    END IF;
    said := substr(kept, 66);
    IF to_timestamp((said ->> 'expires')::double precision) <= clock_timestamp() OR NOT EXISTS (
        SELECT FROM pfa_signing_key AS k
        WHERE k.key_id = said ->> 'key' AND k.retired_at IS NULL
          AND (k.not_after IS NULL OR k.not_after > clock_timestamp())) THEN
        RETURN NULL;
    END IF;
    RETURN said;
END $$;

CREATE FUNCTION pfa_sign_token(token text, content text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT encode(sha256(k.outer_key || sha256(
                k.inner_key || 'pfa token '::bytea || sha256(convert_to(token, 'UTF8'))
                || convert_to(content, 'UTF8'))), 'hex')
            FROM pfa_wall AS k);
END $$;

-- Lets in who holds the token: for this transaction, one organization and one scope. A scope is the
-- right that an operation asks for; beside these
--   member  asks for none and shows no records
--   commit  asks for `sync`, and is about one's own modifications where `sync` is about everybody's
-- Membership and rights are those of now; `locking` lets the user's other writing transactions wait.
-- No row: not a member. A row, and nobody let in: the right is lacking.
-- Raises PFA01 to PFA05 when the token is no good here.
CREATE FUNCTION pfa_enter(token text, organization text, scope text, locking boolean DEFAULT false)
RETURNS SETOF pfa_member LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    said    jsonb;
    member  pfa_member;
    granted text;
    needed  text := CASE WHEN scope = 'commit' THEN 'sync' WHEN scope <> 'member' THEN scope END;
    content text;
BEGIN
    PERFORM set_config('pfa.context', '', true);
    IF token IS NULL OR organization IS NULL OR scope IS NULL THEN
        RAISE SQLSTATE 'PFA01' USING MESSAGE = 'there is no token';
    END IF;
    said := pfa_recall_token(token);
    IF said IS NULL THEN
        SELECT jsonb_build_object('user', v.user_id, 'token', v.token_id, 'key', v.key_id,
                   'expires', extract(epoch FROM v.expires_at), 'organizations', v.organizations)
        INTO said FROM pfa_verify_token(token, clock_timestamp()) AS v;
        IF NOT FOUND THEN
            PERFORM pfa_refuse_token(token, organization);
        END IF;
        PERFORM set_config('pfa.verified', pfa_sign_token(token, said::text) || ' ' || said::text, false);
    END IF;
    IF EXISTS (SELECT FROM pfa_token AS t WHERE t.organization_id = organization
               AND t.token_id = said ->> 'token' AND t.revoked_at IS NOT NULL) THEN
        RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
    ELSIF NOT said -> 'organizations' ? organization THEN
        RAISE SQLSTATE 'PFA04' USING MESSAGE = 'the token does not hold this organization';
    END IF;
    IF locking THEN
        SELECT * INTO member FROM pfa_member AS m
        WHERE m.organization_id = organization AND m.user_id = said ->> 'user' FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO member FROM pfa_member AS m
        WHERE m.organization_id = organization AND m.user_id = said ->> 'user';
    END IF;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT coalesce(string_agg(r.held, ','), '') INTO granted
    FROM unnest(member.rights) AS r (held)
    WHERE (said -> 'organizations' -> organization -> 'rights') ? r.held;
    IF needed IS NULL OR needed = ANY (string_to_array(granted, ',')) THEN
        content := concat_ws(' ', organization, scope, granted, least((said ->> 'expires')::numeric,
            ceil(extract(epoch FROM clock_timestamp())) + 3600), member.user_id);
        PERFORM set_config('pfa.context', pfa_sign_context(content) || ' ' || content, true);
        -- Citus carries settings to its workers that are SET, and takes no policy that asks a function.
        IF current_setting('citus.version', true) IS NOT NULL THEN
            EXECUTE format('SET LOCAL pfa.organization TO %L', organization);
        END IF;
    END IF;
    RETURN NEXT member;
END $$;

-- How a token stands in an organization, without letting anybody in: the membership, and whether token
-- or key were ended meanwhile. No row: not a member. Raises for what is none of our tokens.
CREATE FUNCTION pfa_standing(token text, organization text)
RETURNS TABLE (member pfa_member, token_revoked boolean, key_ended boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    said  record;
    who   text;
    state text := '';
BEGIN
    SELECT * INTO said FROM pfa_verify_token(token, clock_timestamp());
    IF FOUND AND said.organizations ? organization THEN
        who := said.user_id;
    ELSE
        -- Of a token that was revoked the register knows whose it is; what it says itself is not vouched for.
        SELECT t.user_id INTO who FROM pfa_token AS t
        WHERE t.organization_id = organization AND t.revoked_at IS NOT NULL
          AND t.token_id = pfa_token_payload(pfa_base64url(split_part(token, '.', 2))) ->> 'jti';
        IF FOUND THEN
            state := 'revoked';
        ELSIF said IS NOT NULL THEN
            RAISE SQLSTATE 'PFA04' USING MESSAGE = 'the token does not hold this organization';
        ELSE
            PERFORM pfa_refuse_token(token, organization);
        END IF;
    END IF;
    FOR member IN SELECT m.* FROM pfa_member AS m
                  WHERE m.organization_id = organization AND m.user_id = who LOOP
        token_revoked := state = 'revoked';
        key_ended := false;
        RETURN NEXT;
    END LOOP;
END $$;

-- What crosses users, and so is no statement of the program's own: each looks after organization and
-- scope, and does only what its name says.

CREATE FUNCTION pfa_require_scope(scopes text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    context text[] := pfa_context();
BEGIN
    IF context[1] IS NULL OR NOT context[3] = ANY (scopes) THEN
        RAISE insufficient_privilege USING MESSAGE = 'nobody was let in for that';
    END IF;
    RETURN context[1];
END $$;

-- A pull or push changed records: drafts stay, what lies under them is new.
CREATE FUNCTION pfa_refresh_overlays(changed text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{sync,refresh_data,import}');
BEGIN
    UPDATE pfa_overlay AS o
    SET data = m.data || o.delta
    FROM pfa_mirror AS m
    WHERE m.organization_id = code
      AND m.pfa_id = ANY (changed)
      AND o.organization_id = code
      AND o.pfa_id = m.pfa_id;
END $$;

-- A push settled users' modifications: makes the overlay rows of these pairs what is left to make them of.
CREATE FUNCTION pfa_rebuild_overlays(users text[], ids text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{sync}');
BEGIN
    PERFORM FROM pfa_mirror AS r
    WHERE r.organization_id = code AND r.pfa_id = ANY (ids)
    ORDER BY r.pfa_id FOR SHARE;
    DELETE FROM pfa_overlay AS o
    USING unnest(users, ids) AS i (user_id, pfa_id)
    WHERE o.organization_id = code AND o.user_id = i.user_id AND o.pfa_id = i.pfa_id
      AND (i.user_id, i.pfa_id) NOT IN (
          SELECT m.user_id, m.pfa_id FROM pfa_modification AS m
          WHERE m.organization_id = code AND m.user_id = ANY (users) AND m.pfa_id = ANY (ids)
            AND m.state <> 'synced');
    INSERT INTO pfa_overlay (organization_id, user_id, pfa_id, delta, data, modification_id)
    SELECT code, s.user_id, s.pfa_id, s.delta, r.data || s.delta, s.modification_id
    FROM (
        SELECT m.user_id, m.pfa_id,
               jsonb_object_agg(f.key, f.value
                   ORDER BY m.state = 'draft', m.committed_at, m.modification_id) AS delta,
               (array_agg(m.modification_id
                   ORDER BY m.state = 'draft' DESC, m.committed_at DESC, m.modification_id DESC))[1]
                   AS modification_id
        FROM pfa_modification AS m
        CROSS JOIN LATERAL jsonb_each(m.delta) AS f (key, value)
        WHERE m.organization_id = code AND m.user_id = ANY (users) AND m.pfa_id = ANY (ids)
          AND m.state <> 'synced'
          AND (m.user_id, m.pfa_id) IN (SELECT * FROM unnest(users, ids))
        GROUP BY m.user_id, m.pfa_id
    ) AS s
    JOIN pfa_mirror AS r ON r.organization_id = code AND r.pfa_id = s.pfa_id
    ORDER BY s.user_id, s.pfa_id
    ON CONFLICT (organization_id, user_id, pfa_id) DO UPDATE
    SET delta = EXCLUDED.delta,
        data = EXCLUDED.data,
        modification_id = EXCLUDED.modification_id;
END $$;

-- A push settled modifications: the users' other changes of the records, drafts too, start from what
-- PEMS has taken. Rows of user_id, pfa_id, delta.
CREATE FUNCTION pfa_shift_bases(settled jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{sync}');
BEGIN
    UPDATE pfa_modification AS m
    SET base = m.base || coalesce((
            SELECT jsonb_object_agg(f.key, f.value)
            FROM jsonb_each(s.delta) AS f (key, value)
            WHERE m.base ? f.key), '{}')
    FROM jsonb_to_recordset(settled) AS s (user_id text, pfa_id text, delta jsonb)
    WHERE m.organization_id = code
      AND m.user_id = s.user_id
      AND m.pfa_id = s.pfa_id
      AND m.state <> 'synced';
END $$;

-- The link of the trail that this transaction's entries make, as store/chain.py appends it elsewhere: who
-- could write links or the chain's end by hand could stop everybody or make a chain of his own.
CREATE FUNCTION pfa_append_link(organization text, link uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    made  record;
    facts bytea;
    head  audit_head;
BEGIN
    IF organization IS DISTINCT FROM (pfa_context())[2] THEN
        RAISE insufficient_privilege USING MESSAGE = 'nobody was let in for that';
    END IF;
    SELECT count(*)::integer AS entries, clock_timestamp() AS at,
           sha256(string_agg(sha256(convert_to(ROW(
               e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action, e.pfa_id,
               e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason,
               e.link_id)::text, 'UTF8')), ''::bytea ORDER BY e.entry_id)) AS content
    INTO made
    FROM audit_log AS e WHERE e.organization_id = organization AND e.link_id = link;
    IF made.entries = 0 THEN
        RETURN;
    END IF;
    facts := sha256(convert_to(ROW(organization, link, made.entries,
        extract(epoch FROM made.at))::text, 'UTF8') || made.content);
    INSERT INTO audit_head AS h (organization_id, number, digest)
    VALUES (organization, 1, sha256(int8send(1) || facts))
    ON CONFLICT (organization_id) DO UPDATE
    SET number = h.number + 1, digest = sha256(h.digest || int8send(h.number + 1) || facts)
    RETURNING h.* INTO head;
    INSERT INTO audit_link (organization_id, number, link_id, entry_count, at, content, digest)
    VALUES (organization, head.number, link, made.entries, made.at, made.content, head.digest);
END $$;

-- Numbers about everybody's modifications and conflicts, for those who watch an organization.
CREATE FUNCTION pfa_modification_counts() RETURNS TABLE (state text, number bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{read}');
BEGIN
    RETURN QUERY SELECT m.state, count(*) FROM pfa_modification AS m
    WHERE m.organization_id = code GROUP BY m.state;
END $$;

CREATE FUNCTION pfa_waiting_counts() RETURNS TABLE (dead_letters bigint, oldest timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{read}');
BEGIN
    RETURN QUERY
    SELECT count(*) FILTER (WHERE m.state = 'sync_error' AND m.next_attempt_at IS NULL),
           min(m.committed_at) FILTER (WHERE m.state <> 'sync_error' OR m.next_attempt_at IS NOT NULL)
    FROM pfa_modification AS m
    WHERE m.organization_id = code AND m.state IN ('committed', 'syncing', 'sync_error');
END $$;

CREATE FUNCTION pfa_conflict_count() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{read}');
BEGIN
    RETURN (SELECT count(*) FROM pfa_sync_conflict AS c
            WHERE c.organization_id = code AND c.status = 'unresolved');
END $$;

-- The records of the mirror whose text is like the pattern; at most one more than `most`, null: all.
-- LIKE is not leakproof: under a policy it is asked of every record, and no index of words is used.
CREATE FUNCTION pfa_found(pattern text, most integer) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000 AS $$
DECLARE
    code text := (pfa_context())[1];
BEGIN
    RETURN QUERY SELECT m.pfa_id FROM pfa_mirror AS m
    WHERE m.organization_id = code AND m.search_text LIKE pattern
    LIMIT most + 1;
END $$;

-- Only the owner of a table may let its statistics be made anew.
CREATE FUNCTION pfa_analyze_mirror() RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    PERFORM pfa_require_scope('{refresh_data,import}');
    ANALYZE pfa_mirror;
END $$;

-- Those that are for others run with their owner's rights: what they call is found in the catalog and in
-- our schema, nowhere where somebody else could have put it. What they call among themselves runs within
-- them and changes the search path no second time, which is what costs.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc AS p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'pfa\_%'
                 AND p.prosecdef AND p.proname <> 'pfa_verify_token' LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', one, current_schema());
    END LOOP;
END $$;
REVOKE ALL ON TABLE pfa_wall FROM PUBLIC;
REVOKE ALL ON FUNCTION pfa_sign_context(text), pfa_sign_token(text, text), pfa_recall_token(text),
    pfa_refuse_token(text, text),
    pfa_require_scope(text[]), pfa_context(), pfa_organization(), pfa_home(), pfa_scope(), pfa_user(),
    pfa_may(text), pfa_sees_all(), pfa_is_about(text[]), pfa_enter(text, text, text, boolean),
    pfa_standing(text, text), pfa_refresh_overlays(text[]), pfa_rebuild_overlays(text[], text[]),
    pfa_shift_bases(jsonb), pfa_modification_counts(), pfa_waiting_counts(), pfa_conflict_count(),
    pfa_found(text, integer), pfa_analyze_mirror(), pfa_append_link(text, uuid), pfa_held() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pfa_context(), pfa_organization(), pfa_home(), pfa_scope(), pfa_user(),
    pfa_may(text), pfa_sees_all(), pfa_is_about(text[]), pfa_enter(text, text, text, boolean),
    pfa_standing(text, text), pfa_refresh_overlays(text[]), pfa_rebuild_overlays(text[], text[]),
    pfa_shift_bases(jsonb), pfa_modification_counts(), pfa_waiting_counts(), pfa_conflict_count(),
    pfa_found(text, integer), pfa_analyze_mirror(), pfa_append_link(text, uuid), pfa_held() TO pfa_app;

-- The policies. `USING` is also what a row has to pass to be locked, `WITH CHECK` only what is written:
-- whoever may see a row may lock it, as every change of another row next to it asks for.
-- A policy for the owner, so that migrations and the functions above see everything.
CREATE FUNCTION pfa_spelled(short text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    one  text[];
    said text := short;
BEGIN
    FOREACH one SLICE 1 IN ARRAY ARRAY[
        ['{home}', 'organization_id = (SELECT pfa_home())'],
        ['{org}', 'organization_id = (SELECT pfa_organization())'],
        ['{own}', 'user_id = (SELECT pfa_user())'],
        ['{fresh}', 'NOT EXISTS (SELECT FROM audit_link AS l WHERE l.organization_id ='
            || ' audit_log.organization_id AND l.link_id = audit_log.link_id)'],
        ['{held}', 'rights <@ string_to_array((SELECT pfa_held()), '','')'],
        ['{admin}', '(SELECT pfa_sees_all())'],
        ['{staff}', '(SELECT pfa_is_about(''{manage_users}''))'],
        ['{managing}', '(SELECT pfa_may(''manage_users''))'],
        ['{pushes}', '(SELECT pfa_is_about(''{sync}''))'],
        ['{writes}', '(SELECT pfa_is_about(''{sync,refresh_data,import}''))'],
        ['{repairs}', '(SELECT pfa_is_about(''{sync,refresh_data,import,manage_settings}''))'],
        ['{drafts}', '(SELECT pfa_is_about(''{save_draft,commit}''))'],
        ['{commits}', '(SELECT pfa_is_about(''{commit}''))']] LOOP
        said := replace(said, one[1], one[2]);
    END LOOP;
    RETURN said;
END $$;

DO $$
DECLARE
    told record;
BEGIN
    -- Citus refuses policies with sub-selects on distributed tables: there every statement names its
    -- organization, and no policy holds anybody off.
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN;
    END IF;
    -- Which rows are seen, and which may be added, changed into and dropped; null: none.
    FOR told IN SELECT * FROM (VALUES
        ('pfa_organization', '{home}', NULL, 'false', NULL),
        -- Nobody gives what they do not hold.
        ('pfa_member', '{home}', '{home} AND {staff} AND {held}', '{home} AND {staff} AND {held}',
            '{home} AND {staff}'),
        -- A token that was revoked stays so.
        ('pfa_token', '{home} AND ({own} OR {managing})', '{home} AND ({own} OR {staff})',
            '{home} AND revoked_at IS NOT NULL AND ({own} OR {managing})', NULL),
        -- Nobody adds to what an earlier transaction has written.
        ('audit_log', '{home} AND ({own} OR {managing})', '{home} AND {own} AND {fresh}', NULL, NULL),
        ('audit_link', '{home}', NULL, NULL, NULL),
        ('audit_head', '{home}', NULL, NULL, NULL),
        ('pfa_mirror', '{org}', '{org} AND {writes}', '{org} AND {writes}', NULL),
        ('pfa_mirror_history', '{org}', '{org} AND {writes}', NULL, NULL),
        ('kpi_rollup', '{org}', '{org} AND {repairs}', '{org} AND {repairs}', '{org} AND {repairs}'),
        ('pfa_sync_log', '{org}', '{org} AND {writes}', '{org} AND {writes}', NULL),
        ('pfa_sync_outcome', '{org}', '{org} AND {writes}', NULL, NULL),
        ('pfa_pull_page', '{org}', '{org} AND {writes}', '{org} AND {writes}', '{org} AND {writes}'),
        ('pfa_lease', '{org}', '{org} AND {writes}', '{org} AND {writes}', '{org} AND {writes}'),
        -- One's own, an admin everybody's, a push everybody's that are no drafts. Only who may commit
        -- can make a commitment.
        ('pfa_modification',
            '{org} AND ({own} OR {admin} OR state <> ''draft'' AND {pushes})',
            '{org} AND {own} AND state = ''draft'' AND {drafts}',
            '{org} AND ({own} AND (state = ''draft'' AND {drafts} OR state = ''committed'' AND {commits})'
            || ' OR state = ''committed'' AND {admin} OR state <> ''draft'' AND {pushes})',
            '{org} AND ({own} AND {drafts} OR state = ''conflict'' AND {admin})'),
        ('pfa_overlay', '{org} AND ({own} OR {admin})', '{org} AND ({own} AND {drafts} OR {admin})',
            '{org} AND ({own} AND {drafts} OR {admin})', '{org} AND ({own} AND {drafts} OR {admin})'),
        ('pfa_sync_conflict', '{org} AND ({own} OR {admin} OR {pushes})', '{org} AND {pushes}',
            '{org} AND ({own} AND {commits} OR {admin} OR {pushes})', NULL)
    ) AS t (name, seen, added, changed, dropped) LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', told.name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', told.name);
        EXECUTE format('CREATE POLICY pfa_owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)',
                       told.name);
        EXECUTE format('CREATE POLICY pfa_see ON %I FOR SELECT USING (%s)',
                       told.name, pfa_spelled(told.seen));
        IF told.added IS NOT NULL THEN
            EXECUTE format('CREATE POLICY pfa_add ON %I FOR INSERT WITH CHECK (%s)',
                           told.name, pfa_spelled(told.added));
        END IF;
        IF told.changed IS NOT NULL THEN
            EXECUTE format('CREATE POLICY pfa_change ON %I FOR UPDATE USING (%s) WITH CHECK (%s)',
                told.name, pfa_spelled(told.seen)
                    || CASE WHEN told.name = 'pfa_token' THEN ' AND revoked_at IS NULL' ELSE '' END,
                pfa_spelled(told.changed));
        END IF;
        IF told.dropped IS NOT NULL THEN
            EXECUTE format('CREATE POLICY pfa_drop ON %I FOR DELETE USING (%s)',
                           told.name, pfa_spelled(told.dropped));
        END IF;
    END LOOP;
END $$;
DROP FUNCTION pfa_spelled(text);

-- What the program does, and no more. To lock a row somebody has to be able to change a column of it:
-- of organizations the name, which the policy keeps from being changed.
GRANT SELECT, INSERT, UPDATE, DELETE ON pfa_member, kpi_rollup, pfa_pull_page, pfa_lease,
    pfa_modification, pfa_overlay TO pfa_app;
GRANT SELECT, INSERT, UPDATE ON pfa_mirror, pfa_sync_log, pfa_sync_conflict TO pfa_app;
GRANT SELECT, INSERT ON pfa_mirror_history, pfa_sync_outcome, audit_log, pfa_token TO pfa_app;
GRANT UPDATE (revoked_at, revoked_by) ON pfa_token TO pfa_app;
GRANT SELECT, UPDATE (name) ON pfa_organization TO pfa_app;
GRANT SELECT ON pfa_schema_migration TO pfa_app;
-- Which keys there are stands in the head of every token; never what they are.
GRANT SELECT (key_id, created_at, not_after, retired_at) ON pfa_signing_key TO pfa_app;

GRANT SELECT ON audit_link, audit_head TO pfa_app;

DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO pfa_app', current_schema());
    -- A pull brings its records into a temporary table first.
    IF NOT has_database_privilege('pfa_app', current_database(), 'TEMP') THEN
        EXECUTE format('GRANT TEMP ON DATABASE %I TO pfa_app', current_database());
    END IF;
    IF has_schema_privilege('pfa_app', current_schema(), 'CREATE') THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    END IF;
END $$;
