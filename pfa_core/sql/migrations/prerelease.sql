-- Brings a database of the eight migrations from before the first release to 0001_schema.sql, data in place.
--
-- The runner recognises such a database by the checksums it recorded (store/prerelease.py), runs this file and
-- then creates functions, policies and grants anew, as 0001_schema.sql says, all in one transaction. What is
-- here is only what that cannot say: columns and an index, sums by them, one renamed table, and what has to go
-- first.
-- Every statement may run again.

-- The entry whose draft an entry restored, so far only in the words of its reason. Its digest stays the same:
-- see entry_digest in sql/audit_chain.sql.
ALTER TABLE audit_log
    ADD COLUMN IF NOT EXISTS restores uuid;
UPDATE audit_log
SET restores = substring(reason FROM '^restores entry ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$')::uuid
WHERE action = 'restore';
ALTER TABLE audit_log
    DROP CONSTRAINT IF EXISTS audit_log_restores_check,
    ADD CONSTRAINT audit_log_restores_check CHECK (restores IS NULL OR action IN ('restore', 'undo'));
CREATE INDEX IF NOT EXISTS audit_log_restores
    ON audit_log (organization_id, restores)
    WHERE restores IS NOT NULL;

-- What a pull from PEMS refused, so that the next incremental one asks for it again.
ALTER TABLE pfa_sync_log
    ADD COLUMN IF NOT EXISTS behind integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS behind_since timestamptz;

-- A run that an interrupt ended is cancelled.
ALTER TABLE pfa_sync_log
    DROP CONSTRAINT IF EXISTS pfa_sync_log_status_check,
    ADD CONSTRAINT pfa_sync_log_status_check
        CHECK (status IN ('running', 'completed', 'partial', 'failed', 'cancelled'));

-- What a draft was made over that can be restored; entries of that time do not have it, and keep their digest.
ALTER TABLE audit_log
    ADD COLUMN IF NOT EXISTS base jsonb;
ALTER TABLE audit_log
    DROP CONSTRAINT IF EXISTS audit_log_base_check,
    ADD CONSTRAINT audit_log_base_check
        CHECK (base IS NULL OR action IN ('save', 'unset', 'discard', 'settle', 'undo'));

-- What a modification was before an action, for an undo; entries of that time do not have it, and keep their digest.
ALTER TABLE audit_log
    ADD COLUMN IF NOT EXISTS was jsonb;
ALTER TABLE audit_log
    DROP CONSTRAINT IF EXISTS audit_log_was_check,
    ADD CONSTRAINT audit_log_was_check
        CHECK (was IS NULL OR action IN ('save', 'unset', 'discard', 'settle', 'uncommit', 'undo'));
DROP INDEX IF EXISTS audit_log_user;
CREATE INDEX audit_log_user ON audit_log (organization_id, user_id, at, link_id);

-- The fields that were sent beside the version on which they were; null: all of the delta.
ALTER TABLE pfa_modification
    ADD COLUMN IF NOT EXISTS sent_fields text[];

-- It serves sessions alone.
DROP INDEX IF EXISTS pfa_modification_session;
CREATE INDEX pfa_modification_session
    ON pfa_modification (organization_id, session_id, user_id, state)
    WHERE session_id IS NOT NULL;
-- And it serves records alone.
DROP INDEX IF EXISTS pfa_overlay_record;
CREATE INDEX pfa_overlay_record
    ON pfa_overlay (organization_id, pfa_id)
    WHERE pfa_id IS NOT NULL;
-- The user before the record.
DROP INDEX IF EXISTS pfa_modification_one_draft;
CREATE UNIQUE INDEX pfa_modification_one_draft
    ON pfa_modification (organization_id, user_id, pfa_id)
    WHERE state = 'draft';

-- Which links are archived.
CREATE INDEX IF NOT EXISTS audit_log_archived
    ON audit_log (organization_id, at)
    WHERE action = 'archive';
-- Whether a user's membership ended before.
CREATE INDEX IF NOT EXISTS audit_log_revoked
    ON audit_log (organization_id, (before ->> 'user'))
    WHERE action = 'revoke';

-- A person's name does not begin as a service's.
ALTER TABLE pfa_member
    DROP CONSTRAINT IF EXISTS pfa_member_service_check,
    ADD CONSTRAINT pfa_member_service_check CHECK (
        (role = 'service') = (user_id LIKE 'service:%')
        AND (role <> 'service'
             OR (user_id LIKE 'service:_%'
                 AND rights <@ ARRAY['read', 'export', 'view_financials', 'sync', 'import',
                                     'refresh_data'])));

-- Since when a member's tokens are good; null: any.
ALTER TABLE pfa_member
    ADD COLUMN IF NOT EXISTS tokens_since timestamptz;

-- Who may set limits may be over them, as a new admin may.
UPDATE pfa_member
SET rights = rights || '{override_guards}'
WHERE role = 'admin'
  AND rights @> '{manage_settings}'
  AND NOT rights @> '{override_guards}';

-- Functions write the register of tokens.
REVOKE ALL ON pfa_token FROM pfa_app;

-- The table of the secret that signs contexts has the name of what it does; its constraints too.
ALTER TABLE IF EXISTS pfa_wall RENAME TO pfa_rls_secret;
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT c.conname FROM pg_constraint AS c
               WHERE c.conrelid = to_regclass('pfa_rls_secret') AND c.conname LIKE 'pfa\_wall\_%' LOOP
        EXECUTE format('ALTER TABLE pfa_rls_secret RENAME CONSTRAINT %I TO %I',
                       one.conname, replace(one.conname, 'pfa_wall_', 'pfa_rls_secret_'));
    END LOOP;
END $$;

-- Policies are created anew, each under the name of its command.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT p.tablename, p.policyname FROM pg_policies AS p
               WHERE p.schemaname = current_schema()
                 AND p.policyname LIKE 'pfa\_%' LOOP
        EXECUTE format('DROP POLICY %I ON %I', one.policyname, one.tablename);
    END LOOP;
END $$;

-- Functions whose names or results are others now.
DROP FUNCTION IF EXISTS pfa_folded(text), pfa_organization(), pfa_home(), pfa_scope(), pfa_user(),
    pfa_may(text), pfa_held(), pfa_sees_all(), pfa_is_about(text[]), pfa_refuse_token(text, text),
    pfa_recall_token(text), pfa_enter(text, text, text, boolean), pfa_standing(text, text),
    pfa_token_is_good(jsonb, timestamptz), pfa_found(text, integer);

-- The settings of costs and guards, and the columns that they look at.
REVOKE UPDATE (name) ON pfa_organization FROM pfa_app;
ALTER TABLE pfa_organization
    ADD COLUMN IF NOT EXISTS currency text CHECK (currency ~ '^[A-Z]{3}$'),
    ADD COLUMN IF NOT EXISTS rate_uom text NOT NULL DEFAULT 'month'
        CHECK (rate_uom IN ('month', 'week', 'day', '28-day')),
    ADD COLUMN IF NOT EXISTS foreign_currency text NOT NULL DEFAULT 'exclude'
        CHECK (foreign_currency IN ('exclude', 'refuse')),
    ADD COLUMN IF NOT EXISTS max_records integer CHECK (max_records BETWEEN 0 AND 1000000000),
    ADD COLUMN IF NOT EXISTS max_money numeric CHECK (max_money BETWEEN 0 AND 1e17),
    ADD COLUMN IF NOT EXISTS max_percent numeric CHECK (max_percent BETWEEN 0 AND 1e17),
    DROP CONSTRAINT IF EXISTS pfa_organization_check,
    ADD CONSTRAINT pfa_organization_check CHECK (foreign_currency = 'exclude' OR currency IS NOT NULL);
ALTER TABLE pfa_mirror
    ADD COLUMN IF NOT EXISTS rate_uom text COLLATE "C" GENERATED ALWAYS AS (data ->> 'rateUom') STORED,
    ADD COLUMN IF NOT EXISTS currency text COLLATE "C" GENERATED ALWAYS AS (data ->> 'currency') STORED;
ALTER TABLE pfa_mirror ALTER COLUMN rate_uom SET (n_distinct = 2);
ALTER TABLE pfa_mirror ALTER COLUMN currency SET (n_distinct = 2);
ALTER TABLE pfa_overlay
    ADD COLUMN IF NOT EXISTS rate_uom text COLLATE "C" GENERATED ALWAYS AS (data ->> 'rateUom') STORED,
    ADD COLUMN IF NOT EXISTS currency text COLLATE "C" GENERATED ALWAYS AS (data ->> 'currency') STORED;

-- Generated columns that do not raise, whatever the record holds. No statement before PostgreSQL 17 changes an
-- expression in place.
ALTER TABLE pfa_overlay
    DROP CONSTRAINT IF EXISTS pfa_overlay_source_check,
    DROP CONSTRAINT IF EXISTS pfa_overlay_dor_check;
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['pfa_mirror', 'pfa_overlay'] LOOP
        EXECUTE format($sql$
            ALTER TABLE %I
                DROP COLUMN monthly_rate, DROP COLUMN purchase_price, DROP COLUMN is_actualized,
                DROP COLUMN is_discontinued, DROP COLUMN is_funds_transferable,
                ADD COLUMN monthly_rate numeric GENERATED ALWAYS AS
                    ((jsonb_path_query_first(data, '$.monthlyRate ? (@ >= 0 && @ < 1e15)'))::numeric) STORED,
                ADD COLUMN purchase_price numeric GENERATED ALWAYS AS
                    ((jsonb_path_query_first(data, '$.purchasePrice ? (@ >= 0 && @ < 1e15)'))::numeric) STORED,
                ADD COLUMN is_actualized boolean GENERATED ALWAYS AS
                    (coalesce(data -> 'isActualized' = 'true', false)) STORED,
                ADD COLUMN is_discontinued boolean GENERATED ALWAYS AS
                    (coalesce(data -> 'isDiscontinued' = 'true', false)) STORED,
                ADD COLUMN is_funds_transferable boolean GENERATED ALWAYS AS
                    (coalesce(data -> 'isFundsTransferable' = 'true', false)) STORED$sql$, one);
    END LOOP;
END $$;
CREATE INDEX pfa_mirror_monthly_rate ON pfa_mirror (organization_id, monthly_rate);
CREATE INDEX pfa_mirror_purchase_price ON pfa_mirror (organization_id, purchase_price);
CREATE INDEX IF NOT EXISTS pfa_mirror_original_end ON pfa_mirror (organization_id, original_end);
CREATE INDEX IF NOT EXISTS pfa_mirror_actual_start ON pfa_mirror (organization_id, actual_start)
    WHERE actual_start IS NOT NULL;
CREATE INDEX IF NOT EXISTS pfa_mirror_actual_end ON pfa_mirror (organization_id, actual_end)
    WHERE actual_end IS NOT NULL;

-- What changed last, and which run brought a version that was replaced: the one that replaced the version before
-- it. Of the first version that was not kept.
CREATE INDEX IF NOT EXISTS pfa_mirror_changed ON pfa_mirror (organization_id, updated_at DESC, pfa_id);
ALTER TABLE pfa_mirror_history
    ADD COLUMN IF NOT EXISTS written_by_run uuid,
    ADD COLUMN IF NOT EXISTS written_at timestamptz,
    ADD COLUMN IF NOT EXISTS rate_days numeric,
    ADD COLUMN IF NOT EXISTS forecast_purchase numeric,
    ADD COLUMN IF NOT EXISTS rate_uom text COLLATE "C",
    ADD COLUMN IF NOT EXISTS currency text COLLATE "C";
UPDATE pfa_mirror_history AS h
SET written_by_run = b.replaced_by_run,
    written_at = b.replaced_at
FROM pfa_mirror_history AS b
WHERE b.organization_id = h.organization_id
  AND b.pfa_id = h.pfa_id
  AND b.version = h.version - 1
  AND h.written_at IS NULL;
UPDATE pfa_mirror_history AS h
SET rate_days = CASE
        WHEN h.data -> 'isDiscontinued' = 'true' OR h.data -> 'isFundsTransferable' = 'true'
            OR h.data ->> 'source' = 'Purchase' THEN 0
        ELSE coalesce(pfa_days(h.data ->> 'forecastStart', h.data ->> 'forecastEnd')
            * (jsonb_path_query_first(h.data, '$.monthlyRate ? (@ >= 0 && @ < 1e15)'))::numeric, 0) END,
    forecast_purchase = CASE
        WHEN h.data -> 'isDiscontinued' = 'true' OR h.data -> 'isFundsTransferable' = 'true'
            OR h.data ->> 'source' IS DISTINCT FROM 'Purchase' THEN 0
        ELSE coalesce((jsonb_path_query_first(h.data, '$.purchasePrice ? (@ >= 0 && @ < 1e15)'))::numeric, 0) END,
    rate_uom = h.data ->> 'rateUom',
    currency = h.data ->> 'currency'
WHERE h.rate_days IS NULL;
ALTER TABLE pfa_mirror_history
    ALTER COLUMN rate_days SET NOT NULL,
    ALTER COLUMN forecast_purchase SET NOT NULL;
CREATE INDEX IF NOT EXISTS pfa_mirror_history_written
    ON pfa_mirror_history (organization_id, written_at DESC, pfa_id);
CREATE INDEX IF NOT EXISTS pfa_mirror_history_replaced ON pfa_mirror_history (organization_id, replaced_at);

-- By which texts a pull recognizes unchanged records: none yet.
CREATE TABLE IF NOT EXISTS pfa_digest (
    organization_id text COLLATE "C" NOT NULL,
    pfa_id          text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    writer          xid NOT NULL,
    digest          bytea NOT NULL CHECK (octet_length(digest) = 16),
    shape           bigint NOT NULL,
    unknown         text[] COLLATE "C",
    PRIMARY KEY (organization_id, pfa_id)
);

-- The sums by these columns too, computed anew from the mirror.
DELETE FROM kpi_rollup;
ALTER TABLE kpi_rollup
    ADD COLUMN IF NOT EXISTS rate_uom text COLLATE "C" NOT NULL,
    ADD COLUMN IF NOT EXISTS currency text COLLATE "C" NOT NULL,
    ADD COLUMN IF NOT EXISTS without_start bigint NOT NULL,
    ADD COLUMN IF NOT EXISTS without_end bigint NOT NULL,
    ADD COLUMN IF NOT EXISTS without_price bigint NOT NULL,
    DROP CONSTRAINT kpi_rollup_pkey,
    ADD PRIMARY KEY (organization_id, category, class, source, dor, area_silo,
                     is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency);
-- By month and by fields of many values.
CREATE TABLE IF NOT EXISTS kpi_month (
    organization_id  text COLLATE "C" NOT NULL,
    phase            text COLLATE "C" NOT NULL CHECK (phase IN ('plan', 'forecast', 'actual')),
    month            text COLLATE "C" NOT NULL,
    rate_uom         text COLLATE "C" NOT NULL,
    currency         text COLLATE "C" NOT NULL,
    move_count       bigint NOT NULL,
    rate             numeric NOT NULL,
    rate_days_before numeric NOT NULL,
    purchase         numeric NOT NULL,
    begun            bigint NOT NULL,
    gone             bigint NOT NULL,
    ending           bigint NOT NULL,
    PRIMARY KEY (organization_id, phase, month, rate_uom, currency)
);
CREATE TABLE IF NOT EXISTS kpi_field (
    organization_id    text COLLATE "C" NOT NULL,
    field              text COLLATE "C" NOT NULL CHECK (field IN ('manufacturer', 'contract')),
    value              text COLLATE "C" NOT NULL,
    rate_uom           text COLLATE "C" NOT NULL,
    currency           text COLLATE "C" NOT NULL,
    record_count       bigint NOT NULL,
    actualized_count   bigint NOT NULL,
    discontinued_count bigint NOT NULL,
    transferable_count bigint NOT NULL,
    monthly_rental     numeric NOT NULL,
    purchase_cost      numeric NOT NULL,
    counted_purchase   numeric NOT NULL,
    actual_purchase    numeric NOT NULL,
    plan_rate_days     numeric NOT NULL,
    forecast_rate_days numeric NOT NULL,
    actual_rate_days   numeric NOT NULL,
    without_start      bigint NOT NULL,
    without_end        bigint NOT NULL,
    without_rate       bigint NOT NULL,
    without_price      bigint NOT NULL,
    PRIMARY KEY (organization_id, field, value, rate_uom, currency)
);
DELETE FROM kpi_month;
DELETE FROM kpi_field;
DO $$
DECLARE
    code text;
BEGIN
    FOR code IN SELECT DISTINCT m.organization_id FROM pfa_mirror AS m LOOP
        -- statement: mirror.post_all (organization_id = code, sign = 1)
    END LOOP;
END $$;

-- What overlays add to them, of all users.
CREATE TABLE IF NOT EXISTS kpi_overlay (
    organization_id       text COLLATE "C" NOT NULL,
    user_id               text COLLATE "C" NOT NULL,
    grain                 text COLLATE "C" NOT NULL CHECK (grain IN ('class', 'area', 'flags')),
    of_mirror             boolean NOT NULL,
    category              text COLLATE "C" NOT NULL,
    class                 text COLLATE "C" NOT NULL,
    source                text COLLATE "C" NOT NULL,
    dor                   text COLLATE "C" NOT NULL,
    area_silo             text COLLATE "C" NOT NULL,
    is_actualized         boolean NOT NULL,
    is_discontinued       boolean NOT NULL,
    is_funds_transferable boolean NOT NULL,
    rate_uom              text COLLATE "C" NOT NULL,
    currency              text COLLATE "C" NOT NULL,
    record_count          bigint NOT NULL,
    touched_count         bigint NOT NULL,
    actualized_count      bigint NOT NULL,
    discontinued_count    bigint NOT NULL,
    transferable_count    bigint NOT NULL,
    monthly_rental        numeric NOT NULL,
    purchase_cost         numeric NOT NULL,
    plan_rate_days        numeric NOT NULL,
    plan_purchase         numeric NOT NULL,
    forecast_rate_days    numeric NOT NULL,
    forecast_purchase     numeric NOT NULL,
    actual_rate_days      numeric NOT NULL,
    actual_purchase       numeric NOT NULL,
    without_start         bigint NOT NULL,
    without_end           bigint NOT NULL,
    without_rate          bigint NOT NULL,
    without_price         bigint NOT NULL,
    PRIMARY KEY (organization_id, user_id, grain, of_mirror, category, class, source, dor, area_silo,
                 is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency)
) WITH (fillfactor = 60);
CREATE INDEX IF NOT EXISTS kpi_overlay_of_mirror ON kpi_overlay (organization_id, user_id) WHERE of_mirror;
DELETE FROM kpi_overlay;
DO $$
DECLARE
    code text;
BEGIN
    FOR code IN SELECT DISTINCT o.organization_id FROM pfa_overlay AS o LOOP
        -- statement: overlay_sums.post_all (organization_id = code)
    END LOOP;
END $$;

-- A user's changes that wait.
CREATE INDEX IF NOT EXISTS pfa_modification_pending
    ON pfa_modification (organization_id, user_id, modification_id)
    WHERE state IN ('committed', 'syncing', 'sync_error', 'conflict') AND version > 0;

-- Saved views.
CREATE TABLE IF NOT EXISTS pfa_view (
    organization_id text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    name            text COLLATE "C" NOT NULL CHECK (name <> ''),
    content         jsonb NOT NULL CHECK (jsonb_typeof(content) = 'object'),
    created_by      text COLLATE "C" NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_by      text COLLATE "C" NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, user_id, name)
);

-- What the functions that write note until the commit.
CREATE UNLOGGED TABLE IF NOT EXISTS audit_expected (
    organization_id  text COLLATE "C" NOT NULL,
    link_id          uuid NOT NULL,
    place            integer NOT NULL,
    kind             text NOT NULL,
    modification_ids uuid[],
    number           integer NOT NULL,
    PRIMARY KEY (organization_id, link_id, place)
);

-- When autovacuum analyzes.
ALTER TABLE pfa_mirror SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE pfa_digest SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE pfa_modification SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE pfa_overlay SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE audit_log SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE audit_link SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);

-- The role writes by functions alone: what it could do with tables, and functions for what it did with them, end.
DROP FUNCTION IF EXISTS pfa_refresh_overlays(text[]), pfa_append_link(text, uuid);
REVOKE INSERT, UPDATE, DELETE ON pfa_member, kpi_rollup, kpi_overlay, pfa_pull_page, pfa_lease, pfa_modification,
    pfa_overlay, pfa_mirror, pfa_sync_log, pfa_sync_conflict, pfa_mirror_history, pfa_sync_outcome, audit_log
    FROM pfa_app;
