-- The schema of pfa: everything a database needs, in one transaction, in reading order.
--
-- Tenants and members. An organization is a tenant. A member is a user of it, or a service, with the rights
-- they hold there. Every table of a tenant begins its keys and indexes with organization_id.
--
-- Mirror and history. pfa_mirror holds the baseline: one row per PFA record of PEMS. `data` is the record as
-- JSON; the columns that filters and orders read are generated from it. The outgoing version of a row that
-- changes goes to pfa_mirror_history; unchanged rows are not touched. pfa_digest says by which texts of a source
-- a pull recognizes them.
--
-- Modifications and overlays. A user's changed fields over one record are a modification, which goes from
-- draft through committed and syncing to synced, or to sync_error or conflict. pfa_overlay holds one row per
-- user and changed record: the record as that user sees it. A merged read takes untouched records from the
-- mirror and the others from the overlay, each in index order.
--
-- Views. pfa_view holds saved choices of records under a name: a user's own, or the organization's.
--
-- Rollup. kpi_rollup holds the mirror's sums by the dimensions of the KPIs, kpi_overlay what the overlays of each user
-- add to them, so that a total reads no records; kpi_month and kpi_field hold the mirror's by month and by fields of many
-- values.
--
-- Sync. pfa_sync_log has a row per run, a pull or a push; pfa_sync_outcome what a run did with single records;
-- pfa_sync_conflict the fields that PEMS and a user both changed; pfa_lease which run holds an organization;
-- pfa_pull_page which records an unfinished full pull has brought.
--
-- Keys and tokens. pfa_signing_key holds the keys that sign tokens, pfa_token the register of issued tokens.
-- pfa_verify_token verifies a token inside the database, with the rules of pfa_core.
--
-- Audit trail. audit_log says who changed what, when and why. The entries of one transaction form one link in
-- audit_link, whose digest covers the digest before it; audit_head is the end of each organization's chain.
-- Removing, changing or adding an entry breaks the chain from there on. The oldest links may be in files: an entry
-- `archive` of a later link says which, and where the chain goes on.
--
-- Row-level security. The program works as the role pfa_app, which owns nothing. pfa_authorize verifies a
-- token and sets the context of the transaction: organization, scope, rights, user, signed with
-- pfa_rls_secret. The policies compare each row with that context; without one no row is visible. The role writes
-- by SECURITY DEFINER functions alone, which check organization, user and scope themselves.
--
-- Rules of this file and of every later migration:
--   * PostgreSQL 15 to 18 take it, in one transaction. No rules, sequences, identity columns,
--     materialized views or enum types. Citus distributes the same schema by organization_id, which no statement
--     updates, and takes neither policies nor triggers: sql/distribution.sql lifts those there are. A new table has
--     its place in sql/tables.py.
--   * Times and ids are parameters. No default calls a volatile function.
--   * A state is text with a CHECK. A name has at most 45 characters.
--   * Text that is compared or sorted is COLLATE "C": code-point order, the same on every server.
--   * Generated columns are STORED and call immutable functions of the catalog alone, so that a restored dump
--     computes them whatever its search_path; checks do so too, and what either calls.
--   * Reads need no temporary table, lock or sequence.

-- == 1. Extensions, and the functions of generated columns ==

-- Both come with PostgreSQL's contrib and are trusted: CREATE on the database is enough to install them.
-- pg_trgm indexes contained text, btree_gin puts the organization in front of it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- Whole days from start to end, the end exclusive; 0 when a date is missing or the end comes first, null when
-- one is not a date: what a record holds stops no write.
-- A cast from text to date depends on DateStyle, make_date does not, so only this is immutable. In PL/pgSQL
-- the plan is kept for the session; a function in SQL would be planned by every statement that writes a row.
CREATE FUNCTION pfa_days(start_date text, end_date text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $$
BEGIN
    IF start_date IS NULL OR end_date IS NULL THEN
        RETURN 0;  -- most actual dates, without what a block that handles errors costs
    END IF;
    BEGIN
        RETURN greatest(0,
            make_date(left(end_date, 4)::integer, substr(end_date, 6, 2)::integer, substr(end_date, 9)::integer)
            - make_date(left(start_date, 4)::integer, substr(start_date, 6, 2)::integer,
                        substr(start_date, 9)::integer));
    EXCEPTION WHEN data_exception THEN
        RETURN NULL;
    END;
END $$;

-- Whether the values are what a delta may hold: fields of pfa_core.model.record that can be edited, each of its
-- kind and in its range. pfa_core.model.delta has the same rule, and a property test compares both. It is checked
-- while a dump is restored, with an empty search_path: it calls functions of the catalog alone.
CREATE FUNCTION pfa_is_delta(delta jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $$
DECLARE
    name   text;
    amount numeric;
    day    text;
BEGIN
    IF jsonb_typeof(delta) <> 'object' OR delta = '{}' OR delta - ARRAY[
        'areaSilo', 'category', 'class', 'source', 'dor', 'isActualized', 'isDiscontinued',
        'isFundsTransferable', 'monthlyRate', 'purchasePrice', 'manufacturer', 'model', 'equipment',
        'forecastStart', 'forecastEnd', 'actualStart', 'actualEnd'] <> '{}' THEN
        RETURN false;
    END IF;
    IF delta ?| ARRAY['areaSilo', 'category', 'class', 'manufacturer', 'model', 'equipment'] AND NOT (
        coalesce(jsonb_typeof(delta -> 'areaSilo') IN ('string', 'null'), true)
        AND coalesce(length(delta ->> 'areaSilo') <= 200, true)
        AND coalesce(jsonb_typeof(delta -> 'category') IN ('string', 'null'), true)
        AND coalesce(length(delta ->> 'category') <= 200, true)
        AND coalesce(jsonb_typeof(delta -> 'class') IN ('string', 'null'), true)
        AND coalesce(length(delta ->> 'class') <= 200, true)
        AND coalesce(jsonb_typeof(delta -> 'manufacturer') IN ('string', 'null'), true)
        AND coalesce(length(delta ->> 'manufacturer') <= 200, true)
        AND coalesce(jsonb_typeof(delta -> 'model') IN ('string', 'null'), true)
        AND coalesce(length(delta ->> 'model') <= 200, true)
        AND coalesce(jsonb_typeof(delta -> 'equipment') IN ('string', 'null'), true)
        AND coalesce(length(delta ->> 'equipment') <= 100000, true)) THEN
        RETURN false;
    END IF;
    IF delta ?| ARRAY['source', 'dor', 'isActualized', 'isDiscontinued', 'isFundsTransferable'] AND NOT (
        coalesce(delta -> 'source' IN ('"Rental"', '"Purchase"'), true)
        AND coalesce(delta -> 'dor' IN ('"BEO"', '"PROJECT"'), true)
        AND coalesce(jsonb_typeof(delta -> 'isActualized') = 'boolean', true)
        AND coalesce(jsonb_typeof(delta -> 'isDiscontinued') = 'boolean', true)
        AND coalesce(jsonb_typeof(delta -> 'isFundsTransferable') = 'boolean', true)) THEN
        RETURN false;
    END IF;
    -- Amounts of money: 0 or more, below 10^15, at most 12 decimals.
    IF delta ?| ARRAY['monthlyRate', 'purchasePrice'] THEN
        FOREACH name IN ARRAY ARRAY['monthlyRate', 'purchasePrice'] LOOP
            amount := CASE jsonb_typeof(delta -> name) WHEN 'number' THEN (delta -> name)::numeric END;
            IF amount < 0 OR amount >= 1000000000000000 OR scale(amount) > 12
                OR jsonb_typeof(delta -> name) NOT IN ('number', 'null') THEN
                RETURN false;
            END IF;
        END LOOP;
    END IF;
    -- Days of the calendar, YYYY-MM-DD. The block that handles errors costs what the rest does: none without a day.
    IF delta ?| ARRAY['forecastStart', 'forecastEnd', 'actualStart', 'actualEnd'] THEN
        BEGIN
            FOREACH name IN ARRAY ARRAY['forecastStart', 'forecastEnd', 'actualStart', 'actualEnd'] LOOP
                day := delta ->> name;
                IF day IS NOT NULL AND (jsonb_typeof(delta -> name) <> 'string'
                    OR day COLLATE "C" !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
                    OR make_date(left(day, 4)::integer, substr(day, 6, 2)::integer,
                                 substr(day, 9)::integer) IS NULL) THEN
                    RETURN false;
                END IF;
            END LOOP;
        EXCEPTION WHEN data_exception THEN
            RETURN false;
        END;
    END IF;
    RETURN true;
END $$;

-- Whether the values are what a delta may have been made over: of the same fields, each a value of its own.
CREATE FUNCTION pfa_is_base(base jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN jsonb_typeof(base) = 'object'
        AND base - ARRAY[
            'areaSilo', 'category', 'class', 'source', 'dor', 'isActualized', 'isDiscontinued',
            'isFundsTransferable', 'monthlyRate', 'purchasePrice', 'manufacturer', 'model', 'equipment',
            'forecastStart', 'forecastEnd', 'actualStart', 'actualEnd'] = '{}'
        AND NOT jsonb_path_exists(base, 'strict $.* ? (@.type() == "object" || @.type() == "array"
            || @.type() == "number" && (@ <= -1e400 || @ >= 1e400))')
        AND pg_column_size(base) <= 1000000;
END $$;

-- Two functions that fold text to one case, the same on every server: lower() alone depends on the locale.
-- Latin, Greek and Cyrillic letters; text without a capital one of these takes the short way.
--   pfa_fold         in PL/pgSQL, for the columns that are written: planned once for the session
--   pfa_fold_inline  in SQL, for searches: inlined, so that a constant is folded once and not per record
DO $$
DECLARE
    upper_case constant text :=
        'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅ'
        || 'ŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮƯƱƲƳƵƷƸƼ'
        || 'ǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦȨȪȬȮȰȲȺȻȽȾɁɃ'
        || 'ɄɅɆɈɊɌɎͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫϏϘϚϜϞϠϢϤϦϨϪϬϮϴϷϹϺϽϾϿ'
        || 'ЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾ'
        || 'ҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆ'
        || 'ԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖ'
        || 'ṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẞẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞ'
        || 'ỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾ';
    lower_case constant text :=
        'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņ'
        || 'ňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈưʊʋƴƶʒƹƽ'
        || 'ǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧȩȫȭȯȱȳⱥȼƚⱦɂƀ'
        || 'ʉʌɇɉɋɍɏͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋϗϙϛϝϟϡϣϥϧϩϫϭϯθϸϲϻͻͼͽ'
        || 'ѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿ'
        || 'ҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇ'
        || 'ԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗ'
        || 'ṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕßạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờở'
        || 'ỡợụủứừửữựỳỵỷỹỻỽỿ';
    -- translate() compares each letter with all of them, which takes a hundred microseconds of a description; most
    -- texts have none of them.
    folding constant text := format(
        'CASE WHEN octet_length(content) = length(content) OR content COLLATE "C" !~ %L'
        || ' THEN lower(content COLLATE "C") ELSE translate(lower(content COLLATE "C"), %L, %L) END',
        '[' || upper_case || ']', upper_case, lower_case);
BEGIN
    EXECUTE 'CREATE OR REPLACE FUNCTION pfa_fold(content text) RETURNS text'
        || ' LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS '
        || quote_literal('BEGIN RETURN ' || folding || '; END');
    EXECUTE 'CREATE OR REPLACE FUNCTION pfa_fold_inline(content text) RETURNS text'
        || ' LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN ' || folding;
END $$;

-- == 2. Tenants and members ==

-- A tenant.
--   currency          that of its costs; null: not set
--   rate_uom          the unit of rates that name none
--   foreign_currency  what a pull does with a record of another currency: keep it out of sums, or refuse it
--   max_records, max_money, max_percent  the most that one commit or one push may change: records, forecast cost,
--                     per cent of the forecast cost of all records; null: no limit
CREATE TABLE pfa_organization (
    organization_id text COLLATE "C" PRIMARY KEY
        CHECK (organization_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$'),
    name            text NOT NULL DEFAULT '',
    status          text NOT NULL DEFAULT 'active'
        CHECK (status IN ('active', 'suspended', 'archived')),
    created_at      timestamptz NOT NULL,
    currency        text CHECK (currency ~ '^[A-Z]{3}$'),
    rate_uom        text NOT NULL DEFAULT 'month'
        CHECK (rate_uom IN ('month', 'week', 'day', '28-day')),
    foreign_currency text NOT NULL DEFAULT 'exclude'
        CHECK (foreign_currency IN ('exclude', 'refuse')),
    max_records     integer CHECK (max_records BETWEEN 0 AND 1000000000),
    max_money       numeric CHECK (max_money BETWEEN 0 AND 1e17),
    max_percent     numeric CHECK (max_percent BETWEEN 0 AND 1e17),
    CHECK (foreign_currency = 'exclude' OR currency IS NOT NULL)
);

-- Who holds which rights in an organization: the role is a template, the rights are what counts. A writing
-- transaction locks its user's row, so that one user's writes run one after the other.
-- A service holds the rights it was issued and no template's; none of them touches a draft or manages
-- anything. The prefix keeps its name apart from those of people, who have none that begins so.
--   tokens_since  a token of the user that was issued before it is refused, whether the register has it or not;
--                 whole seconds, as tokens have them
CREATE TABLE pfa_member (
    organization_id text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL CHECK (user_id <> ''),
    role            text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'service')),
    rights          text[] NOT NULL,
    granted_by      text NOT NULL,
    granted_at      timestamptz NOT NULL,
    tokens_since    timestamptz,
    PRIMARY KEY (organization_id, user_id),
    CONSTRAINT pfa_member_service_check CHECK (
        (role = 'service') = (user_id LIKE 'service:%')
        AND (role <> 'service'
             OR (user_id LIKE 'service:_%'
                 AND rights <@ ARRAY['read', 'export', 'view_financials', 'sync', 'import',
                                     'refresh_data'])))
);

-- A saved view: filters under a name, with columns and an order, as pfa_core.model.view writes them.
--   user_id     whose alone it is; empty: shared with all members of the organization
--   created_by  who saved it first; of a shared view its author, who may change it, as an admin may
CREATE TABLE pfa_view (
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

-- == 3. Mirror and history ==

-- The baseline: one row per PFA record of PEMS. `data` is the record, every other value column is generated
-- from it: null where the record has no value of the column's kind, so that none of them raises. A row's version rises only when its data changed.
--   missing_since  a complete pull did not bring the record at that time
--   pems_revision  the version that PEMS is known to hold of the record as it is here; null: unknown, so a
--                  write has to read the record first
CREATE TABLE pfa_mirror (
    organization_id       text COLLATE "C" NOT NULL,
    pfa_id                text COLLATE "C" NOT NULL CHECK (pfa_id <> ''),
    data                  jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    version               integer NOT NULL,
    run_id                uuid NOT NULL,
    updated_at            timestamptz NOT NULL,
    missing_since         timestamptz,
    category              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'category') STORED,
    class                 text COLLATE "C" GENERATED ALWAYS AS (data ->> 'class') STORED,
    source                text COLLATE "C" GENERATED ALWAYS AS (data ->> 'source') STORED
        CHECK (source IN ('Rental', 'Purchase')),
    dor                   text COLLATE "C" GENERATED ALWAYS AS (data ->> 'dor') STORED
        CHECK (dor IN ('BEO', 'PROJECT')),
    area_silo             text COLLATE "C" GENERATED ALWAYS AS (data ->> 'areaSilo') STORED,
    manufacturer          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'manufacturer') STORED,
    model                 text COLLATE "C" GENERATED ALWAYS AS (data ->> 'model') STORED,
    contract              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'contract') STORED,
    original_start        text COLLATE "C" GENERATED ALWAYS AS (data ->> 'originalStart') STORED,
    original_end          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'originalEnd') STORED,
    forecast_start        text COLLATE "C" GENERATED ALWAYS AS (data ->> 'forecastStart') STORED,
    forecast_end          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'forecastEnd') STORED,
    actual_start          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'actualStart') STORED,
    actual_end            text COLLATE "C" GENERATED ALWAYS AS (data ->> 'actualEnd') STORED,
    plan_days             integer GENERATED ALWAYS AS
        (pfa_days(data ->> 'originalStart', data ->> 'originalEnd')) STORED,
    forecast_days         integer GENERATED ALWAYS AS
        (pfa_days(data ->> 'forecastStart', data ->> 'forecastEnd')) STORED,
    actual_days           integer GENERATED ALWAYS AS
        (pfa_days(data ->> 'actualStart', data ->> 'actualEnd')) STORED,
    has_actuals           boolean GENERATED ALWAYS AS
        (data ->> 'actualStart' IS NOT NULL AND data ->> 'actualEnd' IS NOT NULL) STORED,
    search_text           text COLLATE "C" GENERATED ALWAYS AS (pfa_fold(
        pfa_id || E'\n' || coalesce(data ->> 'category', '') || E'\n' || coalesce(data ->> 'class', '')
        || E'\n' || coalesce(data ->> 'manufacturer', '') || E'\n' || coalesce(data ->> 'model', '')
        || E'\n' || coalesce(data ->> 'contract', '') || E'\n' || coalesce(data ->> 'equipment', '')
        || E'\n' || coalesce(data ->> 'description', ''))) STORED,
    pems_revision         text,
    rate_uom              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'rateUom') STORED,
    currency              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'currency') STORED,
    monthly_rate          numeric GENERATED ALWAYS AS
        ((jsonb_path_query_first(data, '$.monthlyRate ? (@ >= 0 && @ < 1e15)'))::numeric) STORED,
    purchase_price        numeric GENERATED ALWAYS AS
        ((jsonb_path_query_first(data, '$.purchasePrice ? (@ >= 0 && @ < 1e15)'))::numeric) STORED,
    is_actualized         boolean GENERATED ALWAYS AS
        (coalesce(data -> 'isActualized' = 'true', false)) STORED,
    is_discontinued       boolean GENERATED ALWAYS AS
        (coalesce(data -> 'isDiscontinued' = 'true', false)) STORED,
    is_funds_transferable boolean GENERATED ALWAYS AS
        (coalesce(data -> 'isFundsTransferable' = 'true', false)) STORED,
    PRIMARY KEY (organization_id, pfa_id)
);
-- Sums are grouped by these two. Where no record names any, the planner would expect two hundred values of each,
-- and so many groups that it lets one process aggregate all records.
ALTER TABLE pfa_mirror ALTER COLUMN rate_uom SET (n_distinct = 2);
ALTER TABLE pfa_mirror ALTER COLUMN currency SET (n_distinct = 2);
-- Makes the indexes of the mirror but for its key, where they are missing; a database has none of them until the first
-- records come. To sort a million records into an index that is empty takes a fifth of what it takes to enter them
-- one by one. The transaction of the first records holds the lock of pfa_reserve_mirror and calls this before it ends:
-- records and indexes are committed together or not at all. The last index stands for all.
CREATE FUNCTION pfa_index_mirror() RETURNS void
LANGUAGE plpgsql VOLATILE SET client_min_messages = warning AS $$
BEGIN
    IF to_regclass('pfa_mirror_changed') IS NOT NULL THEN
        RETURN;
    END IF;
    -- The default order of every list. The end of the forecast comes last: what ends late also begins late, and
    -- a filter on the end is answered within the index instead of row by row in the table.
    CREATE INDEX IF NOT EXISTS pfa_mirror_forecast_start
        ON pfa_mirror (organization_id, forecast_start, pfa_id, forecast_end);
    -- The default order within a category.
    CREATE INDEX IF NOT EXISTS pfa_mirror_category
        ON pfa_mirror (organization_id, category, forecast_start, pfa_id);
    -- Filters and orders by one column. Small, because equal values share an entry; a page in another order is
    -- sorted after.
    CREATE INDEX IF NOT EXISTS pfa_mirror_class ON pfa_mirror (organization_id, class);
    CREATE INDEX IF NOT EXISTS pfa_mirror_area_silo ON pfa_mirror (organization_id, area_silo);
    CREATE INDEX IF NOT EXISTS pfa_mirror_manufacturer ON pfa_mirror (organization_id, manufacturer);
    CREATE INDEX IF NOT EXISTS pfa_mirror_model ON pfa_mirror (organization_id, model);
    CREATE INDEX IF NOT EXISTS pfa_mirror_contract ON pfa_mirror (organization_id, contract);
    CREATE INDEX IF NOT EXISTS pfa_mirror_original_start ON pfa_mirror (organization_id, original_start);
    CREATE INDEX IF NOT EXISTS pfa_mirror_original_end ON pfa_mirror (organization_id, original_end);
    CREATE INDEX IF NOT EXISTS pfa_mirror_forecast_end ON pfa_mirror (organization_id, forecast_end);
    CREATE INDEX IF NOT EXISTS pfa_mirror_monthly_rate ON pfa_mirror (organization_id, monthly_rate);
    CREATE INDEX IF NOT EXISTS pfa_mirror_purchase_price ON pfa_mirror (organization_id, purchase_price);
    -- Likewise; of what has not arrived there is nothing.
    CREATE INDEX IF NOT EXISTS pfa_mirror_actual_start
        ON pfa_mirror (organization_id, actual_start) WHERE actual_start IS NOT NULL;
    CREATE INDEX IF NOT EXISTS pfa_mirror_actual_end
        ON pfa_mirror (organization_id, actual_end) WHERE actual_end IS NOT NULL;
    -- Contained text. New rows wait in a list of at most 16 MB before they are sorted in: a pull of many records
    -- is cheaper by that, and a search reads the list in some milliseconds.
    CREATE INDEX IF NOT EXISTS pfa_mirror_search
        ON pfa_mirror USING gin (organization_id, search_text gin_trgm_ops)
        WITH (gin_pending_list_limit = 16384);
    -- The records that a complete pull did not bring, to be found when they come again.
    CREATE INDEX IF NOT EXISTS pfa_mirror_missing
        ON pfa_mirror (organization_id, pfa_id)
        WHERE missing_since IS NOT NULL;
    -- What changed last, in the order of a list of changes. A pull writes its records at one time and in the order of
    -- their ids, so each new entry lies behind the one before.
    CREATE INDEX IF NOT EXISTS pfa_mirror_changed ON pfa_mirror (organization_id, updated_at DESC, pfa_id);
END $$;

-- Whether the mirror's indexes are missing; if so, no other transaction writes into the mirror until this one ends, and
-- readers go on. One that waited here finds them made.
CREATE FUNCTION pfa_reserve_mirror() RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF to_regclass('pfa_mirror_changed') IS NULL THEN
        LOCK TABLE pfa_mirror IN SHARE ROW EXCLUSIVE MODE;
    END IF;
    RETURN to_regclass('pfa_mirror_changed') IS NULL;
END $$;

-- What a mirror row held before it changed: the outgoing version, never the present one.
--   written_by_run, written_at
--                       the run that brought this version, and when, so that each version of a record says where
--                       it came from; null: it was replaced before these were kept
--   rate_days, forecast_purchase, rate_uom, currency
--                       what its forecast cost is computed from, 0 where it does not count: what a pull costs is
--                       summed over these columns, not over the records
CREATE TABLE pfa_mirror_history (
    organization_id text COLLATE "C" NOT NULL,
    pfa_id          text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    data            jsonb NOT NULL,
    replaced_by_run uuid NOT NULL,
    replaced_at     timestamptz NOT NULL,
    written_by_run  uuid,
    written_at      timestamptz,
    rate_days          numeric NOT NULL,
    forecast_purchase  numeric NOT NULL,
    rate_uom        text COLLATE "C",
    currency        text COLLATE "C",
    PRIMARY KEY (organization_id, pfa_id, version)
);
-- What changed in a time and changed again since.
CREATE INDEX pfa_mirror_history_written
    ON pfa_mirror_history (organization_id, written_at DESC, pfa_id);
-- What there was before a time: the versions that were replaced since. What one run replaced shares a time and a
-- place in the index.
CREATE INDEX pfa_mirror_history_replaced ON pfa_mirror_history (organization_id, replaced_at);

-- From which text of a source a record was read: its digest, so that an equal text need not be read again. It
-- counts for the row of the mirror that has this version and was written by this transaction, so that any other
-- write ends it. shape has a bit for each field that the text had a column for or no value of, unknown the
-- names of its other columns: what a pull says of its source, it says of texts that it did not read too.
CREATE TABLE pfa_digest (
    organization_id text COLLATE "C" NOT NULL,
    pfa_id          text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    writer          xid NOT NULL,
    digest          bytea NOT NULL CHECK (octet_length(digest) = 16),
    shape           bigint NOT NULL,
    unknown         text[] COLLATE "C",
    PRIMARY KEY (organization_id, pfa_id)
);

-- == 4. Modifications and overlays ==

-- One user's changed fields over one mirror row, from the first save until PEMS has them.
--   draft       entered by save, uncommit and restore; left by commit and discard
--   committed   entered by commit, resolve and recover; left by claim, uncommit and dispute
--   syncing     claimed by a pusher; a crash leaves it here until its lease expires
--   synced      PEMS has it and the mirror too: it overlays nothing any more
--   sync_error  refused or unreachable; due again at next_attempt_at, or final when that is null
--   conflict    PEMS holds another value; waits for a decision
-- base holds the mirror's value of each field of the delta when that field was first drafted.
-- PEMS knows a write by its key (modification_id, version, generation):
--   generation        raised when a key is used up: PEMS refused it and the change is sent anew
--   sent_version      the version of PEMS on which it was last sent under that key, recorded before it is
--                     sent; null: nothing is under way. A crash leaves it here, and reading the record back
--                     decides
--   sent_fields       the fields that were sent then; their values are the delta's, which does not change while
--                     sent_version is recorded. The same request is made of them when PEMS is asked again; null
--                     beside a sent_version: all fields of the delta
--   failures          failed attempts of the retry schedule; claims are counted in attempts
--   first_attempt_at  the start of the time in which retries are made
CREATE TABLE pfa_modification (
    organization_id  text COLLATE "C" NOT NULL,
    modification_id  uuid NOT NULL,
    pfa_id           text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    session_id       text COLLATE "C" NOT NULL CHECK (session_id <> ''),
    state            text NOT NULL
        CHECK (state IN ('draft', 'committed', 'syncing', 'synced', 'sync_error', 'conflict')),
    delta            jsonb NOT NULL CHECK (jsonb_typeof(delta) = 'object' AND delta <> '{}'),
    base             jsonb NOT NULL CHECK (jsonb_typeof(base) = 'object'),
    base_version     integer NOT NULL,
    version          integer NOT NULL CHECK (version > 0),
    change_reason    text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    committed_at     timestamptz,
    claim_id         uuid,
    claimed_until    timestamptz,
    attempts         integer NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz,
    sync_error       text,
    synced_at        timestamptz,
    generation       integer NOT NULL DEFAULT 0,
    sent_version     text,
    failures         integer NOT NULL DEFAULT 0,
    first_attempt_at timestamptz,
    sent_fields      text[],
    PRIMARY KEY (organization_id, modification_id),
    CHECK ((state = 'draft') = (committed_at IS NULL)),
    CHECK ((state = 'syncing') = (claim_id IS NOT NULL))
);
-- At most one draft per record and user, whatever the sessions. The user before the record, as in the next one: where
-- the planner expects one draft of all, it may take either for those of a user.
CREATE UNIQUE INDEX pfa_modification_one_draft
    ON pfa_modification (organization_id, user_id, pfa_id)
    WHERE state = 'draft';
-- A user's active modifications of a record. What else begins with organization and user goes on with the record: the
-- planner may answer "has this record a modification of this user?" by reading all of the user's, as long as the
-- statistics are older than the rows. Ten thousand fresh drafts took 4 s to discard then, 0.4 s now.
CREATE INDEX pfa_modification_live
    ON pfa_modification (organization_id, user_id, pfa_id)
    WHERE state <> 'synced';
-- The modifications of a session, of one user or of all. The condition is always true and is implied by what names
-- a session: without one, this index serves nothing. Else "which modification has this id?" could be answered by
-- reading all of the organization's, which costs as little as long as the planner expects one row of them; the
-- index of the key is the only one left for it.
CREATE INDEX pfa_modification_session
    ON pfa_modification (organization_id, session_id, user_id, state)
    WHERE session_id IS NOT NULL;
-- What a push sends next: the oldest committed changes first.
CREATE INDEX pfa_modification_queue
    ON pfa_modification (organization_id, committed_at, modification_id)
    WHERE state IN ('committed', 'sync_error');
-- Whether a record has an earlier committed change, or one under way.
CREATE INDEX pfa_modification_order
    ON pfa_modification (organization_id, pfa_id, committed_at, modification_id)
    WHERE state IN ('committed', 'syncing', 'sync_error', 'conflict');
-- A user's changes that wait: what is on top of an overlay and is not a draft. The last condition is always true, as that
-- of pfa_modification_session: nothing else is looked for here.
CREATE INDEX pfa_modification_pending
    ON pfa_modification (organization_id, user_id, modification_id)
    WHERE state IN ('committed', 'syncing', 'sync_error', 'conflict') AND version > 0;
-- What a pusher holds; small at any time.
CREATE INDEX pfa_modification_claimed
    ON pfa_modification (organization_id, modification_id)
    WHERE state = 'syncing';

-- One row per record that one user has changed: the stacked delta and the merged record, with the same
-- generated columns as the mirror, so that a filter means the same on both. Kept by every transaction that
-- changes a modification or its mirror row. modification_id is that of the topmost modification, where state,
-- session and version are read: a change of state writes no overlay.
CREATE TABLE pfa_overlay (
    organization_id       text COLLATE "C" NOT NULL,
    user_id               text COLLATE "C" NOT NULL,
    pfa_id                text COLLATE "C" NOT NULL,
    delta                 jsonb NOT NULL,
    data                  jsonb NOT NULL,
    modification_id       uuid NOT NULL,
    category              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'category') STORED,
    class                 text COLLATE "C" GENERATED ALWAYS AS (data ->> 'class') STORED,
    source                text COLLATE "C" GENERATED ALWAYS AS (data ->> 'source') STORED,
    dor                   text COLLATE "C" GENERATED ALWAYS AS (data ->> 'dor') STORED,
    area_silo             text COLLATE "C" GENERATED ALWAYS AS (data ->> 'areaSilo') STORED,
    manufacturer          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'manufacturer') STORED,
    model                 text COLLATE "C" GENERATED ALWAYS AS (data ->> 'model') STORED,
    contract              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'contract') STORED,
    original_start        text COLLATE "C" GENERATED ALWAYS AS (data ->> 'originalStart') STORED,
    original_end          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'originalEnd') STORED,
    forecast_start        text COLLATE "C" GENERATED ALWAYS AS (data ->> 'forecastStart') STORED,
    forecast_end          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'forecastEnd') STORED,
    actual_start          text COLLATE "C" GENERATED ALWAYS AS (data ->> 'actualStart') STORED,
    actual_end            text COLLATE "C" GENERATED ALWAYS AS (data ->> 'actualEnd') STORED,
    plan_days             integer GENERATED ALWAYS AS
        (pfa_days(data ->> 'originalStart', data ->> 'originalEnd')) STORED,
    forecast_days         integer GENERATED ALWAYS AS
        (pfa_days(data ->> 'forecastStart', data ->> 'forecastEnd')) STORED,
    actual_days           integer GENERATED ALWAYS AS
        (pfa_days(data ->> 'actualStart', data ->> 'actualEnd')) STORED,
    has_actuals           boolean GENERATED ALWAYS AS
        (data ->> 'actualStart' IS NOT NULL AND data ->> 'actualEnd' IS NOT NULL) STORED,
    search_text           text COLLATE "C" GENERATED ALWAYS AS (pfa_fold(
        pfa_id || E'\n' || coalesce(data ->> 'category', '') || E'\n' || coalesce(data ->> 'class', '')
        || E'\n' || coalesce(data ->> 'manufacturer', '') || E'\n' || coalesce(data ->> 'model', '')
        || E'\n' || coalesce(data ->> 'contract', '') || E'\n' || coalesce(data ->> 'equipment', '')
        || E'\n' || coalesce(data ->> 'description', ''))) STORED,
    rate_uom              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'rateUom') STORED,
    currency              text COLLATE "C" GENERATED ALWAYS AS (data ->> 'currency') STORED,
    monthly_rate          numeric GENERATED ALWAYS AS
        ((jsonb_path_query_first(data, '$.monthlyRate ? (@ >= 0 && @ < 1e15)'))::numeric) STORED,
    purchase_price        numeric GENERATED ALWAYS AS
        ((jsonb_path_query_first(data, '$.purchasePrice ? (@ >= 0 && @ < 1e15)'))::numeric) STORED,
    is_actualized         boolean GENERATED ALWAYS AS
        (coalesce(data -> 'isActualized' = 'true', false)) STORED,
    is_discontinued       boolean GENERATED ALWAYS AS
        (coalesce(data -> 'isDiscontinued' = 'true', false)) STORED,
    is_funds_transferable boolean GENERATED ALWAYS AS
        (coalesce(data -> 'isFundsTransferable' = 'true', false)) STORED,
    PRIMARY KEY (organization_id, user_id, pfa_id)
);
-- The orders of the mirror, within one user's overlays.
CREATE INDEX pfa_overlay_forecast_start
    ON pfa_overlay (organization_id, user_id, forecast_start, pfa_id);
CREATE INDEX pfa_overlay_category
    ON pfa_overlay (organization_id, user_id, category, forecast_start, pfa_id);
-- All users' overlays of a record, to refresh when its mirror row changes. The condition is always true, as that of
-- pfa_modification_session: one user's overlays are not looked for among all. A look-up by user and record may take it,
-- and is to: where the planner expects one row, it would read all of the user's in an order instead.
CREATE INDEX pfa_overlay_record
    ON pfa_overlay (organization_id, pfa_id)
    WHERE pfa_id IS NOT NULL;

-- == 5. Rollup ==

-- The mirror's sums by every dimension that KPIs are grouped by, and by rate unit and currency ('': none
-- named), since what these mean is a setting of the organization; money before division by the days of a
-- month. Kept by the transactions that change the mirror.
--   without_*  rentals without a start or an end of the forecast, records without the price of their source
CREATE TABLE kpi_rollup (
    organization_id       text COLLATE "C" NOT NULL,
    category              text COLLATE "C" NOT NULL,
    class                 text COLLATE "C" NOT NULL,
    source                text COLLATE "C" NOT NULL,
    dor                   text COLLATE "C" NOT NULL,
    area_silo             text COLLATE "C" NOT NULL,
    is_actualized         boolean NOT NULL,
    is_discontinued       boolean NOT NULL,
    is_funds_transferable boolean NOT NULL,
    record_count          bigint NOT NULL,
    monthly_rental        numeric NOT NULL,
    purchase_cost         numeric NOT NULL,
    actual_purchase       numeric NOT NULL,
    plan_rate_days        numeric NOT NULL,
    forecast_rate_days    numeric NOT NULL,
    actual_rate_days      numeric NOT NULL,
    rate_uom              text COLLATE "C" NOT NULL,
    currency              text COLLATE "C" NOT NULL,
    without_start         bigint NOT NULL,
    without_end           bigint NOT NULL,
    without_price         bigint NOT NULL,
    PRIMARY KEY (organization_id, category, class, source, dor, area_silo,
                 is_actualized, is_discontinued, is_funds_transferable, rate_uom, currency)
);
-- Totals are the sum of one small column: read from this index alone, not from rows of twenty numbers.
CREATE INDEX kpi_rollup_count ON kpi_rollup (organization_id, category) INCLUDE (record_count);

-- What begins and ends in each month of a phase, of the records that count for costs: of these sums costs are made for
-- any months. Kept with the rollup.
--   month             YYYY-MM; '': purchases without a start
--   move_count        starts and ends that are summed here
--   rate              rates that begin less rates that end; rate_days_before: each times the days of the month before
--   begun, gone, ending
--                     records that begin, that ended on the month's first day, that ended on a later one
CREATE TABLE kpi_month (
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

-- The mirror's sums by a field of many values, which would multiply the groups of the rollup. What counts for costs is
-- summed apart, so that no flag is in the key. Kept with the rollup.
--   counted_purchase  prices of purchases that count
CREATE TABLE kpi_field (
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

-- What one user's overlays add to those sums: the merged records where they are merged, less the mirror's where the
-- mirror has them; the plan is the mirror's, its flags too. Kept by the transactions that change an overlay or the
-- mirror row under one. A draft that becomes a change adds the same, so that a commit writes nothing here.
--   grain          by which dimensions beside the category, rate unit and currency: class, area, or flags: source, DOR
--                  and the flags. The others are '' and false
--   of_mirror      posted by writers of the mirror, which run one after the other; else by the user's own
--                  transactions, which do too: no two write one row at once. The sums are those of both together
--   touched_count  overlay rows that are merged here
-- Room on each page lets a row that is added to stay there, without another entry in the index.
CREATE TABLE kpi_overlay (
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
-- What a run gathers at its end.
CREATE INDEX kpi_overlay_of_mirror ON kpi_overlay (organization_id, user_id) WHERE of_mirror;

-- == 6. Sync: runs, outcomes, conflicts, leases, pull pages ==

-- Runs: one execution of pull (read) or push (write).
--   kind   full, incremental, or since a time that the caller named
--   since  the time from which on a pull reads; of a full pull that continues interrupted ones, when the
--          first of these began
--   behind, behind_since
--          how many records a pull from PEMS refused, and when the earliest of them was changed in PEMS: the
--          next incremental pull reads from then on; null: unknown
CREATE TABLE pfa_sync_log (
    organization_id text COLLATE "C" NOT NULL,
    run_id          uuid NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('pull', 'push')),
    source          text NOT NULL,
    status          text NOT NULL
        CHECK (status IN ('running', 'completed', 'partial', 'failed', 'cancelled')),
    user_id         text NOT NULL,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    counts          jsonb NOT NULL DEFAULT '{}',
    message         text,
    kind            text NOT NULL DEFAULT 'full',
    since           timestamptz,
    behind          integer NOT NULL DEFAULT 0,
    behind_since    timestamptz,
    PRIMARY KEY (organization_id, run_id)
);
-- The latest runs of a direction.
CREATE INDEX pfa_sync_log_recent
    ON pfa_sync_log (organization_id, direction, started_at DESC);

-- What a run did with single records. number counts them within the run; attempt counts from 1, null where
-- none was made.
CREATE TABLE pfa_sync_outcome (
    organization_id text COLLATE "C" NOT NULL,
    run_id          uuid NOT NULL,
    outcome_id      uuid NOT NULL,
    number          integer NOT NULL,
    pfa_id          text COLLATE "C",
    modification_id uuid,
    position        text NOT NULL DEFAULT '',
    outcome         text NOT NULL,
    code            text NOT NULL,
    message         text NOT NULL,
    at              timestamptz NOT NULL,
    attempt         integer,
    PRIMARY KEY (organization_id, run_id, outcome_id)
);

-- A committed change whose fields PEMS changed too: for each field base, mine and theirs. settlement says, field by
-- field, what it ended with: mine, pems or the value that was set.
CREATE TABLE pfa_sync_conflict (
    organization_id text COLLATE "C" NOT NULL,
    conflict_id     uuid NOT NULL,
    modification_id uuid NOT NULL,
    pfa_id          text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    fields          jsonb NOT NULL,
    status          text NOT NULL CHECK (status IN ('unresolved', 'resolved')),
    resolution      text CHECK (resolution IN ('mine', 'pems', 'merged')),
    created_at      timestamptz NOT NULL,
    resolved_at     timestamptz,
    resolved_by     text,
    settlement      jsonb,
    PRIMARY KEY (organization_id, conflict_id)
);
-- At most one open conflict per modification.
CREATE UNIQUE INDEX pfa_sync_conflict_one_open
    ON pfa_sync_conflict (organization_id, modification_id)
    WHERE status = 'unresolved';
-- A user's latest conflicts.
CREATE INDEX pfa_sync_conflict_recent
    ON pfa_sync_conflict (organization_id, user_id, created_at DESC);

-- One run at a time per organization and direction, by the database's clock: which run holds it, from which
-- process, and when its last heartbeat was.
CREATE TABLE pfa_lease (
    organization_id text COLLATE "C" NOT NULL,
    name            text NOT NULL,
    owner_id        uuid NOT NULL,
    owner           text NOT NULL,
    acquired_at     timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    host            text NOT NULL DEFAULT '',
    pid             integer NOT NULL DEFAULT 0,
    heartbeat_at    timestamptz,
    PRIMARY KEY (organization_id, name)
);

-- The pages that a full pull has brought so far, with the ids of their records: an interrupted pull continues
-- behind them, and a complete one marks the records that are in none as missing. Deleted when it is complete.
CREATE TABLE pfa_pull_page (
    organization_id text COLLATE "C" NOT NULL,
    run_id          uuid NOT NULL,
    row_offset      integer NOT NULL,
    row_count       integer NOT NULL,
    last_id         text NOT NULL,
    ids             text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, run_id, row_offset)
);

-- == 7. Keys and tokens ==

-- One half of HMAC-SHA256's key (RFC 2104): the secret, hashed when it is longer than a block of 64 bytes,
-- filled up with zeros, each byte XOR pad.
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

-- The keys that sign and verify tokens. A token names several organizations, so keys belong to the
-- installation: this table, the list of migrations and pfa_rls_secret are the only ones without an
-- organization. Small, with no references, whole on every node.
-- The key id names the content, so that no other secret can take a known key's place.
--   not_after   until when it verifies after another key has replaced it; null: no end is set
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

-- Every issued token, a row for each of its organizations: what one organization revokes ends there alone.
-- Never the token itself.
--   narrowed  it holds less than its member held: a refresh never widens it
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
-- The unexpired tokens of an organization; expired ones are read only on request.
CREATE INDEX pfa_token_expiry ON pfa_token (organization_id, expires_at);

-- The words a token may use, the same as in pfa_core.model.principal.
CREATE FUNCTION pfa_token_roles() RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '["viewer", "editor", "admin", "service"]'::jsonb;
CREATE FUNCTION pfa_token_rights() RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '["read", "export", "view_financials", "save_draft", "edit_forecast", "edit_actuals", "sync",
         "import", "refresh_data", "manage_users", "manage_settings", "override_guards"]'::jsonb;

-- The form of a token: pfa_core.model.token_format has the same rules in Python, and a property test compares
-- both. Each of the next three functions yields null for what it refuses.

-- Bytes in base64url without padding, spelled in the one canonical way: no loose bits at the end. The caller
-- has checked that all characters are base64url's own.
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

-- The header: alg, typ and kid, each at most once, as plain words. It is read before its signature is
-- verified, so nothing else reaches a JSON parser.
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

-- A payload as plain JSON: UTF-8, whole numbers of at most 15 digits, at most 8 levels deep, no NUL and no
-- half of a surrogate pair. On these all JSON parsers agree.
CREATE FUNCTION pfa_token_payload(content bytea) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    written   text COLLATE "C";
    escapes   text COLLATE "C";
    structure text COLLATE "C";
BEGIN
    written := convert_from(content, 'UTF8');
    -- Escaped backslashes first: each backslash that is left begins an escape.
    escapes := replace(written, '\\', '__');
    IF position('\u' IN escapes) > 0 AND (escapes ~ '\\u0000' OR regexp_replace(
        escapes, '\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '_', 'g'
    ) ~ '\\u[dD][89a-fA-F]') THEN
        RETURN NULL;
    END IF;
    structure := regexp_replace(replace(escapes, '\"', '_'), '"[^"]*"', '""', 'g');
    IF structure ~ '[^][{}:,"a-z0-9 \t\n\r-]|[0-9]e|[0-9]{16}' THEN
        RETURN NULL;
    END IF;
    -- Eight brackets in all cannot be nested deeper.
    IF length(structure) - length(translate(structure, '[{', '')) > 8 THEN
        FOR depth IN 1..8 LOOP
            EXIT WHEN structure !~ '[][{}]';
            structure := regexp_replace(structure, '[[{][^][{}]*[]}]', '', 'g');
        END LOOP;
        IF structure ~ '[][{}]' THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN written::jsonb;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- Whether the payload has the claims of a pfa token and is valid at that time.
CREATE FUNCTION pfa_token_is_valid(payload jsonb, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    -- Seconds from 1970 to the last second of the year 9999, the last that Python can name.
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

-- The claims of a token that a key in force signed and that is valid at that time; no row otherwise.
-- Organizations that revoked it are left out, and a token that all of them revoked is refused.
-- pfa_core verifies by the same rules, but for revocation.
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
    granted   text[];
    unrevoked jsonb;
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
    -- Both sides are hashed once more, so that the time of the comparison reveals nothing about them.
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
    IF pfa_token_is_valid(payload, at) IS NOT TRUE THEN
        RETURN;
    END IF;
    -- Both tables are asked with the names of all organizations: a distributed server refuses a look-up for each.
    granted := ARRAY(SELECT o.code FROM jsonb_object_keys(payload -> 'organizations') AS o (code));
    unrevoked := (payload -> 'organizations')
        - ARRAY(SELECT t.organization_id FROM pfa_token AS t
                WHERE t.organization_id = ANY (granted)
                  AND t.token_id = payload ->> 'jti'
                  AND t.revoked_at IS NOT NULL)
        - ARRAY(SELECT m.organization_id FROM pfa_member AS m
                WHERE m.organization_id = ANY (granted)
                  AND m.user_id = payload ->> 'sub'
                  AND m.tokens_since > to_timestamp((payload ->> 'iat')::bigint));
    IF unrevoked = '{}' AND payload -> 'organizations' <> '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT payload ->> 'sub', payload ->> 'jti', by_key,
        to_timestamp((payload ->> 'iat')::bigint), to_timestamp((payload ->> 'exp')::bigint), unrevoked;
END $$;
-- Its string constants mean the same whatever the caller has set.
ALTER FUNCTION pfa_verify_token(text, timestamptz) SET standard_conforming_strings = on;

-- == 8. Audit trail and its chain ==

-- Who changed what, when and why; written by the transaction that changes the data, never changed after. Whole links of
-- the oldest ones leave for a file, by the owner alone.
--   link_id   the entry's link, named by the first entry of its transaction
--   restores  of an entry `restore`: the entry whose draft it made a draft again; of an `undo`: the entry that it takes
--             back. `reason` says it for people, in words
--   base      PEMS's values when fields that the action took out of a draft were first drafted, from which a draft
--             that is made again is compared with PEMS
--   was       what the modification was before, as far as no other column says it and the action changed it: session,
--             reason, state, times. A state that is not there is `draft`, a counter 0. `agreed`: of a `settle`, PEMS
--             had the values, so that nothing was lost. Null: there was none, or the entry is older than the column
CREATE TABLE audit_log (
    organization_id text COLLATE "C" NOT NULL,
    entry_id        uuid NOT NULL,
    at              timestamptz NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    action          text NOT NULL,
    pfa_id          text COLLATE "C",
    modification_id uuid,
    session_id      text COLLATE "C",
    run_id          uuid,
    before          jsonb,
    after           jsonb,
    reason          text,
    link_id         uuid NOT NULL,
    restores        uuid,
    base            jsonb,
    was             jsonb,
    PRIMARY KEY (organization_id, entry_id),
    CONSTRAINT audit_log_restores_check CHECK (restores IS NULL OR action IN ('restore', 'undo')),
    CONSTRAINT audit_log_base_check
        CHECK (base IS NULL OR action IN ('save', 'unset', 'discard', 'settle', 'undo')),
    CONSTRAINT audit_log_was_check
        CHECK (was IS NULL OR action IN ('save', 'unset', 'discard', 'settle', 'uncommit', 'undo'))
);
-- The history of a record, and of a session.
CREATE INDEX audit_log_record ON audit_log (organization_id, pfa_id, entry_id);
CREATE INDEX audit_log_session ON audit_log (organization_id, session_id, entry_id);
-- The entries of a link. Equal keys share their place: ten thousand entries of one transaction cost little
-- more than one.
CREATE INDEX audit_log_link ON audit_log (organization_id, link_id);
-- By time, and by user and time; what one action wrote is of one instant and shares its place too. With the link a
-- user's operations are found from the latest on, an entry of each.
CREATE INDEX audit_log_at ON audit_log (organization_id, at);
CREATE INDEX audit_log_user ON audit_log (organization_id, user_id, at, link_id);
-- By run.
CREATE INDEX audit_log_run
    ON audit_log (organization_id, run_id)
    WHERE run_id IS NOT NULL;
-- Whether a discarded draft was restored, and whether an operation was undone.
CREATE INDEX audit_log_restores
    ON audit_log (organization_id, restores)
    WHERE restores IS NOT NULL;
-- Whether a user's membership ended before.
CREATE INDEX audit_log_revoked
    ON audit_log (organization_id, (before ->> 'user'))
    WHERE action = 'revoke';
-- How many denials were recorded lately: above a limit no more are.
CREATE INDEX audit_log_denied
    ON audit_log (organization_id, at)
    WHERE action IN ('permission_denied', 'sync_skipped');
-- Which links are in which files, in place of the database.
CREATE INDEX audit_log_archived
    ON audit_log (organization_id, at)
    WHERE action = 'archive';

-- One row per transaction that wrote entries. number counts from 1 without a gap but for archived links, in the order
-- in which the transactions ended; at is the database's clock just before. sql/audit_chain.sql says how both are computed.
--   content  sha256 of the entries' digests, in the order of their ids
--   digest   sha256 of the digest before, the number, and the other columns
CREATE TABLE audit_link (
    organization_id text COLLATE "C" NOT NULL,
    number          bigint NOT NULL CHECK (number > 0),
    link_id         uuid NOT NULL,
    entry_count     integer NOT NULL CHECK (entry_count > 0),
    at              timestamptz NOT NULL,
    content         bytea NOT NULL,
    digest          bytea NOT NULL,
    PRIMARY KEY (organization_id, number)
);
-- The link of an entry, once.
CREATE UNIQUE INDEX audit_link_id ON audit_link (organization_id, link_id);

-- The end of each organization's chain. Writers lock its one row one after the other, each as its last step.
CREATE TABLE audit_head (
    organization_id text COLLATE "C" PRIMARY KEY,
    number          bigint NOT NULL,
    digest          bytea NOT NULL
) WITH (fillfactor = 50);

-- What the functions that write changed in a transaction that has not ended, and what its link has to say of it.
-- Checked and emptied by pfa_check_trail at the commit, so that every transaction sees its own rows and no others.
--   kind              which actions say it: those of pfa_trail_kinds; 'entries' asks for the link alone; 'refused …'
--                     names a field that the caller may not write, 'withdraw …' whose changes are drafts again: no member's
--   modification_ids  of which modifications, or with the kind 'run' of which runs; null: of something that has no id
CREATE UNLOGGED TABLE audit_expected (
    organization_id  text COLLATE "C" NOT NULL,
    link_id          uuid NOT NULL,
    place            integer NOT NULL,
    kind             text NOT NULL,
    modification_ids uuid[],
    number           integer NOT NULL,
    PRIMARY KEY (organization_id, link_id, place)
);

-- By default autovacuum analyzes a table again after a tenth of it has changed: where all users together have fifty
-- thousand drafts that is more than one user saves at once.
ALTER TABLE pfa_mirror SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE pfa_digest SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE pfa_modification SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE pfa_overlay SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE audit_log SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);
ALTER TABLE audit_link SET (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 50);

-- == 9. Row-level security: the role and the context of a transaction ==

-- The role that the program works as. It owns nothing and may log in only where an administrator allows it;
-- login roles are members of it.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pfa_app') THEN
        CREATE ROLE pfa_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server was upgraded at the same moment
END $$;

-- The secret that signs contexts, as the two halves of HMAC-SHA256's key; made here, readable by the owner
-- alone.
CREATE TABLE pfa_rls_secret (
    only_one  boolean PRIMARY KEY CHECK (only_one),
    inner_key bytea NOT NULL,
    outer_key bytea NOT NULL
);
INSERT INTO pfa_rls_secret (only_one, inner_key, outer_key)
SELECT true, pfa_hmac_pad(made.secret, 54), pfa_hmac_pad(made.secret, 92)
FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                    || uuid_send(gen_random_uuid()))) AS made (secret);

-- The signature of a context. It holds in the connection and the transaction that it was made in: the server
-- process and the start of the transaction are signed with it.
CREATE FUNCTION pfa_sign_context(content text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
BEGIN
    RETURN (SELECT encode(sha256(k.outer_key || sha256(
                k.inner_key || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
                || convert_to(content, 'UTF8'))), 'hex')
            FROM pfa_rls_secret AS k);
END $$;

-- The context: organization of the records (null in the scope `member`, which shows none), organization,
-- scope, rights, user. Null when nothing was authorized, or the setting was not signed here. It ends with the
-- token, and after an hour at most: a transaction that is held open does not keep for ever what its user lost
-- meanwhile. A parallel worker has another pid, so only the leader may call this.
CREATE FUNCTION pfa_context() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER AS $$
DECLARE
    setting text := current_setting('pfa.context', true);
    key     pfa_rls_secret;
    parts   text[];
BEGIN
    IF setting IS NULL OR length(setting) < 66 THEN
        RETURN NULL;
    END IF;
    SELECT * INTO key FROM pfa_rls_secret;
    -- pfa_sign_context, written out so that policies cost one call less. 64 digits and a blank; compared as
    -- digests, so that the time of the comparison reveals nothing.
    IF sha256(convert_to(left(setting, 64), 'UTF8')) <> sha256(convert_to(encode(
        sha256(key.outer_key || sha256(key.inner_key || int4send(pg_backend_pid())
            || timestamptz_send(transaction_timestamp()) || convert_to(substr(setting, 66), 'UTF8'))),
        'hex'), 'UTF8')) THEN
        RETURN NULL;
    END IF;
    parts := string_to_array(substr(setting, 66), ' ');
    IF to_timestamp(parts[4]::double precision) < clock_timestamp() THEN
        RETURN NULL;
    END IF;
    RETURN ARRAY[CASE WHEN parts[2] <> 'member' THEN parts[1] END, parts[1], parts[2], parts[3],
                 array_to_string(parts[5:], ' ')];
END $$;

-- What policies call; each is a plain expression, which the planner inlines as the one call of pfa_context.

-- The organization whose records the context shows; null in the scope `member`.
CREATE FUNCTION pfa_records_organization() RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[1];
-- The organization of the context, in every scope.
CREATE FUNCTION pfa_context_organization() RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[2];
-- The user of the context.
CREATE FUNCTION pfa_context_user() RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[5];
-- Whether the scope is one of these.
CREATE FUNCTION pfa_scope_in(scopes text[]) RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[3] = ANY (scopes);
-- Whether the scope is an admin's, who resolves conflicts of others and repairs overlays.
CREATE FUNCTION pfa_is_admin_scope() RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pfa_context())[3] IN ('manage_users', 'manage_settings');
-- The rights that token and membership both give.
CREATE FUNCTION pfa_rights() RETURNS text[]
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN string_to_array((pfa_context())[4], ',');
-- Whether token and membership both give the right.
CREATE FUNCTION pfa_has_right(wanted text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN wanted = ANY (string_to_array((pfa_context())[4], ','));

-- Raises the reason why a token is refused: PFA03 revoked, PFA02 expired, PFA05 its key has ended, else PFA01.
CREATE FUNCTION pfa_raise_token_error(token text, organization text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    payload jsonb := pfa_token_payload(pfa_base64url(split_part(token, '.', 2)));
    issued  timestamptz;
BEGIN
    IF EXISTS (SELECT FROM pfa_token AS t
               WHERE t.organization_id = organization
                 AND t.token_id = payload ->> 'jti'
                 AND t.revoked_at IS NOT NULL) THEN
        RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
    END IF;
    BEGIN
        issued := to_timestamp((payload ->> 'iat')::bigint);
    EXCEPTION WHEN data_exception THEN
        issued := NULL;
    END;
    IF EXISTS (SELECT FROM pfa_member AS m
               WHERE m.organization_id = organization
                 AND m.user_id = payload ->> 'sub'
                 AND m.tokens_since > issued) THEN
        RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
    END IF;
    IF EXISTS (SELECT FROM pfa_verify_token(token, issued)) THEN
        IF to_timestamp((payload ->> 'exp')::bigint) <= clock_timestamp() THEN
            RAISE SQLSTATE 'PFA02' USING MESSAGE = 'the token has expired';
        END IF;
        RAISE SQLSTATE 'PFA05' USING MESSAGE = 'the key that signed the token has ended';
    END IF;
    RAISE SQLSTATE 'PFA01' USING MESSAGE = 'the token is not signed with a key that this database knows';
END $$;

-- The signature of a verified token's claims, for pfa_cached_token.
CREATE FUNCTION pfa_sign_token(token text, content text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT encode(sha256(k.outer_key || sha256(
                k.inner_key || 'pfa token '::bytea || sha256(convert_to(token, 'UTF8'))
                || convert_to(content, 'UTF8'))), 'hex')
            FROM pfa_rls_secret AS k);
END $$;

-- The claims of a token that this session has verified before; where a pooler gives the session to another client
-- next, this transaction. That it was verified stays true, and is signed for the token itself; what can end it is
-- read anew: its life and its key here, its revocation in pfa_authorize. Null: not verified here, or ended.
CREATE FUNCTION pfa_cached_token(token text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    cached text := current_setting('pfa.verified', true);
    claims jsonb;
BEGIN
    IF cached IS NULL OR length(cached) < 66 OR sha256(convert_to(left(cached, 64), 'UTF8'))
        <> sha256(convert_to(pfa_sign_token(token, substr(cached, 66)), 'UTF8')) THEN
        RETURN NULL;
    END IF;
    claims := substr(cached, 66);
    IF to_timestamp((claims ->> 'expires')::double precision) <= clock_timestamp() OR NOT EXISTS (
        SELECT FROM pfa_signing_key AS k
        WHERE k.key_id = claims ->> 'key' AND k.retired_at IS NULL
          AND (k.not_after IS NULL OR k.not_after > clock_timestamp())) THEN
        RETURN NULL;
    END IF;
    RETURN claims;
END $$;

-- Authorizes the token's user: for this transaction, one organization and one scope. A scope is the right
-- that an operation requires; besides these
--   member  requires no right and shows no records
--   commit  requires `sync` and `save_draft`, and no service: for the user's own modifications, where the scope
--           `sync` is for those of all users
-- Membership and rights are those of now; `locking` makes the user's other writing transactions wait.
-- No row: not a member. A row without a context: the right is lacking.
-- Raises PFA01 to PFA05 when the token is not valid here, PFA06 where `locking` would change an archived organization.
CREATE FUNCTION pfa_authorize(token text, organization text, scope text, locking boolean DEFAULT false)
RETURNS SETOF pfa_member LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    claims  jsonb;
    member  pfa_member;
    granted text;
    needed  text := CASE WHEN scope = 'commit' THEN 'sync' WHEN scope <> 'member' THEN scope END;
    content text;
BEGIN
    PERFORM set_config('pfa.context', '', true);
    IF token IS NULL OR organization IS NULL OR scope IS NULL THEN
        RAISE SQLSTATE 'PFA01' USING MESSAGE = 'no token was given';
    END IF;
    claims := pfa_cached_token(token);
    IF claims IS NULL THEN
        SELECT jsonb_build_object('user', v.user_id, 'token', v.token_id, 'key', v.key_id,
                   'issued', extract(epoch FROM v.issued_at), 'expires', extract(epoch FROM v.expires_at),
                   'organizations', v.organizations)
        INTO claims FROM pfa_verify_token(token, clock_timestamp()) AS v;
        IF NOT FOUND THEN
            PERFORM pfa_raise_token_error(token, organization);
        END IF;
        PERFORM set_config('pfa.verified',
                           pfa_sign_token(token, claims::text) || ' ' || claims::text,
                           coalesce(current_setting('pfa.session', true), '') = 'transaction');
    END IF;
    IF EXISTS (SELECT FROM pfa_token AS t
               WHERE t.organization_id = organization
                 AND t.token_id = claims ->> 'token'
                 AND t.revoked_at IS NOT NULL) THEN
        RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
    ELSIF NOT claims -> 'organizations' ? organization THEN
        -- Those that refuse all tokens of its time are left out, as those that revoked it are.
        IF EXISTS (SELECT FROM pfa_member AS m
                   WHERE m.organization_id = organization AND m.user_id = claims ->> 'user'
                     AND m.tokens_since > to_timestamp((claims ->> 'issued')::double precision)) THEN
            RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
        END IF;
        RAISE SQLSTATE 'PFA04' USING MESSAGE = 'the token does not hold this organization';
    END IF;
    IF locking THEN
        SELECT * INTO member FROM pfa_member AS m
        WHERE m.organization_id = organization AND m.user_id = claims ->> 'user' FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO member FROM pfa_member AS m
        WHERE m.organization_id = organization AND m.user_id = claims ->> 'user';
    END IF;
    IF NOT FOUND THEN
        RETURN;
    ELSIF locking AND EXISTS (SELECT FROM pfa_organization AS o
                              WHERE o.organization_id = organization AND o.status = 'archived') THEN
        RAISE SQLSTATE 'PFA06' USING MESSAGE = 'the organization is archived', DETAIL = organization;
    ELSIF member.tokens_since > to_timestamp((claims ->> 'issued')::double precision) THEN
        RAISE SQLSTATE 'PFA03' USING MESSAGE = 'the token was revoked';
    END IF;
    SELECT coalesce(string_agg(r.held, ','), '') INTO granted
    FROM unnest(member.rights) AS r (held)
    WHERE (claims -> 'organizations' -> organization -> 'rights') ? r.held;
    IF (needed IS NULL OR needed = ANY (string_to_array(granted, ',')))
        AND (scope <> 'commit' OR (member.role <> 'service'
                                   AND 'save_draft' = ANY (string_to_array(granted, ',')))) THEN
        content := concat_ws(' ', organization, scope, granted, least((claims ->> 'expires')::numeric,
            ceil(extract(epoch FROM clock_timestamp())) + 3600), member.user_id);
        PERFORM set_config('pfa.context', pfa_sign_context(content) || ' ' || content, true);
    END IF;
    RETURN NEXT member;
END $$;

-- The state of a token in an organization, without authorizing anything: the membership, and whether token
-- or key were ended meanwhile. No row: not a member. Raises PFA01 to PFA05 for any other token.
CREATE FUNCTION pfa_token_status(token text, organization text)
RETURNS TABLE (member pfa_member, token_revoked boolean, key_ended boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    claims  record;
    subject text;
    revoked boolean := false;
BEGIN
    SELECT * INTO claims FROM pfa_verify_token(token, clock_timestamp());
    IF FOUND AND claims.organizations ? organization THEN
        subject := claims.user_id;
    ELSE
        -- The register names the user of a revoked token; its own claims are not verified.
        SELECT t.user_id INTO subject FROM pfa_token AS t
        WHERE t.organization_id = organization AND t.revoked_at IS NOT NULL
          AND t.token_id = pfa_token_payload(pfa_base64url(split_part(token, '.', 2))) ->> 'jti';
        IF FOUND THEN
            revoked := true;
        ELSIF EXISTS (SELECT FROM pfa_member AS m
                      WHERE m.organization_id = organization AND m.user_id = claims.user_id
                        AND m.tokens_since > claims.issued_at) THEN
            subject := claims.user_id;
            revoked := true;
        ELSIF claims IS NOT NULL THEN
            RAISE SQLSTATE 'PFA04' USING MESSAGE = 'the token does not hold this organization';
        ELSE
            PERFORM pfa_raise_token_error(token, organization);
        END IF;
    END IF;
    FOR member IN SELECT m.* FROM pfa_member AS m
                  WHERE m.organization_id = organization AND m.user_id = subject LOOP
        token_revoked := revoked;
        key_ended := false;
        RETURN NEXT;
    END LOOP;
END $$;

-- == 10. Row-level security: functions that cross users ==

-- What reads or writes rows of several users is not a statement of the program's own but a function with its
-- owner's rights: each checks organization and scope and does only what its name says.

-- The organization of the context, where its scope is one of these; raises otherwise.
CREATE FUNCTION pfa_require_scope(scopes text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    context text[] := pfa_context();
BEGIN
    IF context[1] IS NULL OR NOT context[3] = ANY (scopes) THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    RETURN context[1];
END $$;

-- The link of this transaction in an organization: no caller can name another one. A transaction's id begins anew in a
-- restored cluster, so its start is digested too.
CREATE FUNCTION pfa_link_id(organization text) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT encode(substr(sha256(
                k.inner_key || 'pfa link '::bytea || timestamptz_send(transaction_timestamp())
                || convert_to(pg_current_xact_id()::text || ' ' || organization, 'UTF8')), 1, 16), 'hex')
            FROM pfa_rls_secret AS k)::uuid;
END $$;

-- Raises unless the transaction is authorized for one of the scopes in this organization ('any': in all of them).
-- `who` is the user that the call is about: the caller ('own'), in an admin's scope another one too ('admins'),
-- or no user ('none').
CREATE FUNCTION pfa_require_caller(organization text, who text, scopes text[], about text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    context text[] := pfa_context();
BEGIN
    IF context IS NULL OR organization IS DISTINCT FROM context[2]
        OR (scopes <> '{any}' AND (context[1] IS NULL OR NOT context[3] = ANY (scopes)))
        OR (about <> 'none' AND who IS DISTINCT FROM context[5]
            AND NOT (about = 'admins' AND who IS NOT NULL
                     AND context[3] IN ('manage_users', 'manage_settings'))) THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
END $$;

-- Whether the caller may write every field.
CREATE FUNCTION pfa_may_write_all() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN pfa_rights() @> '{edit_forecast,edit_actuals,view_financials}';
END $$;

-- Notes where a delta has a field that the caller may not write, by the rights of pfa_core.model.rights: the commit
-- is refused, so that the program can find all such fields before.
-- `changed`: fields that the stored modification has with the same value do not count.
CREATE FUNCTION pfa_require_fields(deltas jsonb, changed boolean) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    granted text[] := pfa_rights();
    code    text := pfa_context_organization();
    refused text;
BEGIN
    SELECT f.key INTO refused
    FROM jsonb_to_recordset(deltas) AS d (modification_id uuid, delta jsonb)
    CROSS JOIN LATERAL jsonb_each(d.delta) AS f (key, value)
    WHERE NOT granted @> CASE
              WHEN f.key IN ('isActualized', 'actualStart', 'actualEnd') THEN '{edit_actuals}'
              WHEN f.key IN ('monthlyRate', 'purchasePrice') THEN '{edit_forecast,view_financials}'
              ELSE '{edit_forecast}' END::text[]
      AND NOT (changed AND EXISTS (
          SELECT FROM pfa_modification AS m
          WHERE m.organization_id = code AND m.modification_id = d.modification_id
            AND m.delta -> f.key = f.value))
    LIMIT 1;
    IF FOUND THEN
        PERFORM pfa_expect_entries('refused ' || refused, NULL, 1);
    END IF;
END $$;

-- The deltas of modifications, as pfa_require_fields takes them.
CREATE FUNCTION pfa_deltas_of(ids uuid[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    code text := pfa_context_organization();
BEGIN
    RETURN (SELECT jsonb_agg(jsonb_build_object('delta', m.delta)) FROM pfa_modification AS m
            WHERE m.organization_id = code AND m.modification_id = ANY (ids));
END $$;

-- Whether the run is the caller's.
CREATE FUNCTION pfa_is_own_run(organization text, run uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pfa_sync_log AS r
                   WHERE r.organization_id = organization AND r.run_id = run
                     AND r.user_id = pfa_context_user());
END $$;

-- Whether the caller's scope is one in which runs of the direction are made: a push in `sync`, a pull in the others.
CREATE FUNCTION pfa_may_run(direction text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE direction
        WHEN 'push' THEN pfa_scope_in('{sync}')
        WHEN 'pull' THEN pfa_scope_in('{refresh_data,import}')
        ELSE false END;
END $$;

-- Whether the run is recorded and another user's, or of a direction of another scope.
CREATE FUNCTION pfa_is_run_of_another(organization text, run uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pfa_sync_log AS r
                   WHERE r.organization_id = organization AND r.run_id = run
                     AND (r.user_id <> pfa_context_user() OR NOT pfa_may_run(r.direction)));
END $$;

-- Whether a run of the caller holds the lease of a direction; this one, or with null any.
CREATE FUNCTION pfa_holds_lease(organization text, direction text, run uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pfa_lease AS l
                   WHERE l.organization_id = organization AND l.name = direction
                     AND (run IS NULL OR l.owner_id = run) AND l.owner = pfa_context_user());
END $$;

-- Whether this run holds the lease for another user.
CREATE FUNCTION pfa_is_lease_of_another(organization text, direction text, run uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pfa_lease AS l
                   WHERE l.organization_id = organization AND l.name = direction
                     AND l.owner_id = run AND l.owner <> pfa_context_user());
END $$;

-- The run, where its lease may be taken over although it has not expired: the caller's own, or one without a
-- heartbeat for half of its lifetime. That its process is dead is the caller's word only.
CREATE FUNCTION pfa_ended_run(run uuid) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
    code text := pfa_context_organization();
BEGIN
    RETURN (SELECT l.owner_id FROM pfa_lease AS l
            WHERE l.organization_id = code AND l.owner_id = run
              AND (l.owner = pfa_context_user()
                   OR clock_timestamp() > l.heartbeat_at + (l.expires_at - l.heartbeat_at) / 2)
            LIMIT 1);
END $$;

-- Raises unless the table of received records was made by these functions: an object of the caller's would run
-- the caller's code with the owner's rights.
CREATE FUNCTION pfa_require_own_incoming() RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_class AS c
        WHERE c.relnamespace = pg_my_temp_schema() AND c.relname = 'pfa_incoming' AND c.relkind = 'r'
          AND c.relowner = (SELECT t.relowner FROM pg_class AS t WHERE t.oid = 'pfa_mirror'::regclass)) THEN
        RAISE insufficient_privilege USING MESSAGE = 'the records were received into another table',
            CONSTRAINT = 'pfa_refusal';
    END IF;
END $$;

-- The modifications that this transaction has settled: as the functions that did it noted.
CREATE FUNCTION pfa_settled() RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    code text := pfa_context_organization();
BEGIN
    RETURN coalesce((
        SELECT array_agg(i.id) FROM audit_expected AS x CROSS JOIN LATERAL unnest(x.modification_ids) AS i (id)
        WHERE x.organization_id = code AND x.link_id = pfa_link_id(code)
          AND x.kind IN ('acknowledge', 'dispute')), '{}');
END $$;

-- Whether the values are an object of no other fields than those of the change.
CREATE FUNCTION pfa_has_fields_of(given jsonb, delta jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN jsonb_typeof(given) IS NOT DISTINCT FROM 'object' AND jsonb_typeof(delta) = 'object'
        AND given - ARRAY(SELECT jsonb_object_keys(delta)) = '{}';
END $$;

-- Whether these are no fields of a conflict: at least one object that names a field of the change.
CREATE FUNCTION pfa_are_no_conflict(fields jsonb, delta jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF jsonb_typeof(fields) IS DISTINCT FROM 'array' OR fields = '[]' THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM jsonb_array_elements(fields) AS f (content)
                   WHERE jsonb_typeof(f.content) <> 'object'
                      OR NOT delta ? coalesce(f.content ->> 'field', ''));
END $$;

-- Whether any of these conflicts would have other fields than those of its change, or other values than change and
-- mirror have.
CREATE FUNCTION pfa_refreshes_wrongly(organization text, refreshed jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM jsonb_to_recordset(refreshed) AS r (conflict_id uuid, fields jsonb)
        JOIN pfa_sync_conflict AS c
          ON c.organization_id = organization AND c.conflict_id = r.conflict_id
        LEFT JOIN pfa_modification AS m
          ON m.organization_id = organization AND m.modification_id = c.modification_id
        LEFT JOIN pfa_mirror AS b ON b.organization_id = organization AND b.pfa_id = m.pfa_id
        WHERE CASE
            WHEN pfa_are_no_conflict(r.fields, coalesce(m.delta, '{}')) THEN true
            ELSE EXISTS (
                SELECT FROM jsonb_array_elements(r.fields) AS f (content)
                WHERE f.content -> 'base' IS DISTINCT FROM coalesce(m.base -> (f.content ->> 'field'), 'null')
                   OR f.content -> 'mine' IS DISTINCT FROM m.delta -> (f.content ->> 'field')
                   OR f.content -> 'pems' IS DISTINCT FROM coalesce(b.data -> (f.content ->> 'field'), 'null'))
            END);
END $$;

-- Whether what is committed again would add a field to its change, or begin from other values than it or the mirror
-- has.
CREATE FUNCTION pfa_recommits_wrongly(organization text, modifications jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM jsonb_to_recordset(modifications)
             AS d (modification_id uuid, delta jsonb, base jsonb, base_version integer)
        JOIN pfa_modification AS m
          ON m.organization_id = organization AND m.modification_id = d.modification_id
        LEFT JOIN pfa_mirror AS b ON b.organization_id = organization AND b.pfa_id = m.pfa_id
        WHERE NOT pfa_has_fields_of(d.delta, m.delta)
           OR NOT pfa_has_fields_of(d.base, d.delta)
           OR NOT pfa_has_fields_of(d.delta, d.base)
           OR d.base_version IS DISTINCT FROM b.version
           OR EXISTS (
               SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(d.base) = 'object' THEN d.base ELSE '{}' END)
                   AS f (key, value)
               WHERE f.value <> coalesce(m.base -> f.key, 'null')
                 AND f.value <> coalesce(b.data -> f.key, 'null')));
END $$;

-- Whether any of these conflicts is of something else than a modification that this transaction disputes.
CREATE FUNCTION pfa_disputes_others(organization text, conflicts jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    ids uuid[] := pfa_settled();
BEGIN
    RETURN EXISTS (
        SELECT FROM jsonb_to_recordset(conflicts)
             AS n (modification_id uuid, pfa_id text, user_id text, fields jsonb)
        WHERE NOT EXISTS (
            SELECT FROM pfa_modification AS m
            WHERE m.organization_id = organization AND m.modification_id = n.modification_id
              AND m.pfa_id = n.pfa_id AND m.user_id = n.user_id AND m.state = 'conflict'
              AND m.modification_id = ANY (ids) AND NOT pfa_are_no_conflict(n.fields, m.delta)));
END $$;

-- Whether a dispute would add a field to a user's change, give one another value, or move the base of a field that
-- the change has not.
CREATE FUNCTION pfa_adds_to_deltas(organization text, disputes jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM jsonb_to_recordset(disputes) AS d (modification_id uuid, delta jsonb, rebased jsonb)
        JOIN pfa_modification AS m
          ON m.organization_id = organization AND m.modification_id = d.modification_id
        WHERE (m.delta @> d.delta) IS NOT TRUE
           OR NOT pfa_has_fields_of(d.rebased, m.delta)
           OR NOT pfa_is_base(d.rebased));
END $$;

-- Whether a push received records of which it has settled nothing in this transaction.
CREATE FUNCTION pfa_received_unsettled(organization text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    ids uuid[];
BEGIN
    IF NOT pfa_scope_in('{sync}') THEN
        RETURN false;
    END IF;
    ids := pfa_settled();
    RETURN EXISTS (
        SELECT i.pfa_id FROM pfa_incoming AS i
        EXCEPT
        SELECT m.pfa_id FROM pfa_modification AS m
        WHERE m.organization_id = organization AND m.modification_id = ANY (ids));
END $$;

-- The same of records whose version of PEMS a push notes.
CREATE FUNCTION pfa_knows_unsettled(organization text, known jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    ids uuid[] := pfa_settled();
BEGIN
    RETURN EXISTS (
        SELECT k.pfa_id FROM jsonb_to_recordset(known) AS k (pfa_id text)
        EXCEPT
        SELECT m.pfa_id FROM pfa_modification AS m
        WHERE m.organization_id = organization AND m.modification_id = ANY (ids));
END $$;

-- Which entry says which kind of change: kind and action. An entry of an action that is listed is about a
-- modification, or is one of pfa_counted_kinds.
CREATE FUNCTION pfa_trail_kinds() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{write save,write unset,write restore,write undo,delete save,delete unset,delete discard,delete settle,
         delete undo,commit commit,commit settle,commit undo,uncommit uncommit,uncommit undo,acknowledge acknowledge,reject reject,
         reject postpone,dispute dispute,release release,resolve resolve,retry retry,
         grant grant,revoke revoke,configure configure,view_save view_save,view_delete view_delete}'::text[];

-- The kinds of changes without an id: so many changes, so many entries.
CREATE FUNCTION pfa_counted_kinds() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '{grant,revoke,configure,view_save,view_delete}'::text[];

-- Whether the caller's scope is one in which such an entry is written. What was denied has a function of its own.
CREATE FUNCTION pfa_may_record(action text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    scope text := (pfa_context())[3];
BEGIN
    RETURN CASE
        WHEN action LIKE 'token\_%' THEN true
        WHEN action IN ('save', 'unset', 'commit', 'uncommit', 'discard', 'restore', 'settle', 'undo')
            THEN scope IN ('save_draft', 'commit')
        WHEN action = 'resolve' THEN scope IN ('commit', 'manage_users')
        WHEN action = 'override' THEN scope IN ('commit', 'manage_users', 'sync') AND pfa_has_right('override_guards')
        WHEN action IN ('begin', 'pull', 'push') THEN scope IN ('sync', 'refresh_data', 'import')
        WHEN action IN ('retry', 'acknowledge', 'reject', 'postpone', 'dispute', 'release')
            THEN scope = 'sync'
        WHEN action IN ('grant', 'revoke') THEN scope = 'manage_users'
        WHEN action IN ('view_save', 'view_delete') THEN scope IN ('read', 'save_draft')
        WHEN action IN ('configure', 'repair', 'key_register', 'key_rotate', 'key_retire')
            THEN scope = 'manage_settings'
        ELSE false END;
END $$;

-- Notes what the transaction's link has to say of a change.
CREATE FUNCTION pfa_expect_entries(kind text, ids uuid[], number integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    code text := pfa_context_organization();
    link uuid;
BEGIN
    IF number > 0 THEN
        link := pfa_link_id(code);
        IF EXISTS (SELECT FROM audit_link AS l WHERE l.organization_id = code AND l.link_id = link) THEN
            RAISE insufficient_privilege USING MESSAGE = 'the transaction has its link already',
                CONSTRAINT = 'pfa_refusal';
        END IF;
        INSERT INTO audit_expected (organization_id, link_id, place, kind, modification_ids, number)
        SELECT code, link, coalesce(max(x.place), 0) + 1, pfa_expect_entries.kind, ids,
               pfa_expect_entries.number
        FROM audit_expected AS x WHERE x.organization_id = code AND x.link_id = link;
    END IF;
END $$;

-- Notes that the transaction has a link, once.
CREATE FUNCTION pfa_expect_link() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    code text := pfa_context_organization();
    link uuid := pfa_link_id(code);
BEGIN
    INSERT INTO audit_expected (organization_id, link_id, place, kind, number)
    SELECT code, link, 1, 'entries', 0
    WHERE NOT EXISTS (SELECT FROM audit_expected AS x WHERE x.organization_id = code AND x.link_id = link);
END $$;

-- Whether changes and entries of a transaction are about the same modifications, runs, memberships and settings.
CREATE FUNCTION pfa_trail_differs(organization text, link uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT i.id, x.kind
        FROM audit_expected AS x CROSS JOIN LATERAL unnest(x.modification_ids) AS i (id)
        WHERE x.organization_id = organization AND x.link_id = link AND x.kind <> 'run'
        EXCEPT
        SELECT e.modification_id, split_part(k.pair, ' ', 1)
        FROM audit_log AS e
        JOIN unnest(pfa_trail_kinds()) AS k (pair) ON split_part(k.pair, ' ', 2) = e.action
        WHERE e.organization_id = organization AND e.link_id = link)
    OR EXISTS (
        SELECT e.modification_id
        FROM audit_log AS e
        WHERE e.organization_id = organization AND e.link_id = link
          AND e.action IN (SELECT split_part(k.pair, ' ', 2) FROM unnest(pfa_trail_kinds()) AS k (pair)
                           WHERE split_part(k.pair, ' ', 2) <> ALL (pfa_counted_kinds()))
        EXCEPT
        SELECT i.id
        FROM audit_expected AS x CROSS JOIN LATERAL unnest(x.modification_ids) AS i (id)
        WHERE x.organization_id = organization AND x.link_id = link AND x.kind <> 'run')
    -- What a run claims and receives has no entries of its own: the run's beginning and end have.
    OR EXISTS (
        SELECT FROM audit_expected AS x CROSS JOIN LATERAL unnest(x.modification_ids) AS i (id)
        WHERE x.organization_id = organization AND x.link_id = link AND x.kind = 'run'
          AND NOT EXISTS (
              SELECT FROM audit_log AS e
              WHERE e.organization_id = organization AND e.link_id = link AND e.run_id = i.id
                AND e.action IN ('begin', 'pull', 'push')))
    OR EXISTS (
        SELECT FROM (
            SELECT x.kind, sum(x.number) AS number FROM audit_expected AS x
            WHERE x.organization_id = organization AND x.link_id = link
              AND x.kind = ANY (pfa_counted_kinds())
            GROUP BY x.kind) AS n
        FULL JOIN (
            SELECT e.action, count(*) AS number FROM audit_log AS e
            WHERE e.organization_id = organization AND e.link_id = link
              AND e.action = ANY (pfa_counted_kinds())
            GROUP BY e.action) AS f ON f.action = n.kind
        WHERE n.number IS DISTINCT FROM f.number)
    -- An entry about a token may be of what the owner's connection did; no change of one is without its entry.
    OR EXISTS (
        SELECT FROM audit_expected AS x
        WHERE x.organization_id = organization AND x.link_id = link AND x.kind LIKE 'token\_%'
        GROUP BY x.kind
        HAVING sum(x.number) > (SELECT count(*) FROM audit_log AS e
                                WHERE e.organization_id = organization AND e.link_id = link
                                  AND e.action = x.kind));
END $$;

-- At the commit: the link of the transaction has all of its entries, every change has its entry, and every entry
-- about a change has its change; and the organization has an admin. The first of the noted rows checks for all.
CREATE FUNCTION pfa_check_trail() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    organization constant text := NEW.organization_id;
    link         constant uuid := NEW.link_id;
    noted        record;
    found_there  record;
BEGIN
    SELECT count(*) AS number, coalesce(bool_or(x.kind LIKE 'refused %'), false) AS refused,
           coalesce(sum(cardinality(x.modification_ids)), 0) AS changes, min(x.kind) AS kind,
           min(x.modification_ids) AS ids
    INTO noted
    FROM audit_expected AS x WHERE x.organization_id = organization AND x.link_id = link;
    IF noted.number = 0 THEN
        RETURN NULL;
    ELSIF noted.refused THEN
        RAISE insufficient_privilege USING MESSAGE = 'a field was written that the caller may not write',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    SELECT (SELECT l.entry_count FROM audit_link AS l
            WHERE l.organization_id = organization AND l.link_id = link) AS linked,
           count(*) AS number, min(e.action) AS action, min(e.modification_id::text) AS id
    INTO found_there
    FROM audit_log AS e WHERE e.organization_id = organization AND e.link_id = link;
    IF found_there.linked IS DISTINCT FROM found_there.number THEN
        RAISE insufficient_privilege USING MESSAGE = 'entries of the audit trail are in no link',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    -- The commonest one, a change of one record, without the comparison of sets.
    IF (noted.number = 1 AND noted.changes = 1 AND found_there.number = 1
        AND found_there.id = noted.ids[1]::text
        AND concat(noted.kind, ' ', found_there.action) = ANY (pfa_trail_kinds())) IS NOT TRUE
        AND pfa_trail_differs(organization, link) THEN
        RAISE insufficient_privilege USING MESSAGE = 'changes and entries of the audit trail differ',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    -- Two who remove each other at once come here one after the other: each has appended its link to the chain.
    IF EXISTS (
        SELECT FROM audit_expected AS x
        WHERE x.organization_id = organization AND x.link_id = link AND x.kind IN ('grant', 'revoke'))
        AND NOT EXISTS (
            SELECT FROM pfa_member AS m
            WHERE m.organization_id = organization AND m.role = 'admin' AND 'manage_users' = ANY (m.rights)) THEN
        RAISE insufficient_privilege USING MESSAGE = 'the organization would be left without an admin',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    IF EXISTS (
        SELECT FROM audit_expected AS x
        JOIN pfa_member AS m ON m.organization_id = organization AND x.kind = 'withdraw ' || m.user_id
        WHERE x.organization_id = organization AND x.link_id = link) THEN
        RAISE insufficient_privilege USING MESSAGE = 'changes of a member were withdrawn',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    IF EXISTS (
        SELECT FROM audit_expected AS x
        CROSS JOIN LATERAL unnest(x.modification_ids) AS i (id)
        JOIN pfa_modification AS m ON m.organization_id = organization AND m.modification_id = i.id
        WHERE x.organization_id = organization AND x.link_id = link AND x.kind IN ('dispute', 'resolve')
          AND (m.state = 'conflict') <> EXISTS (
              SELECT FROM pfa_sync_conflict AS c
              WHERE c.organization_id = organization AND c.modification_id = i.id AND c.status = 'unresolved')) THEN
        RAISE insufficient_privilege USING MESSAGE = 'a change is in conflict without a conflict',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    DELETE FROM audit_expected AS x WHERE x.organization_id = organization AND x.link_id = link;
    RETURN NULL;
END $$;

DO $$ BEGIN
    DROP TRIGGER IF EXISTS audit_expected_is_met ON audit_expected;
    CREATE CONSTRAINT TRIGGER audit_expected_is_met AFTER INSERT ON audit_expected
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pfa_check_trail();
END $$;

-- Writes that something was denied to the caller, or returns 0: 100 an hour are recorded of a user and 1,000 of an
-- organization, so that a client that is denied in a loop does not fill the disk.
CREATE FUNCTION pfa_deny(organization text, entry uuid, action text, operation text, permission text,
                         denied text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
    who   text := pfa_context_user();
    own   bigint;
    total bigint;
BEGIN
    PERFORM pfa_require_caller(organization, NULL, '{any}', 'none');
    IF ($3 IN ('permission_denied', 'sync_skipped')) IS NOT TRUE THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    SELECT count(*) FILTER (WHERE e.user_id = who), count(*) INTO own, total
    FROM audit_log AS e
    WHERE e.organization_id = organization AND e.action IN ('permission_denied', 'sync_skipped')
      AND e.at > clock_timestamp() - interval '1 hour';
    IF own >= 100 OR total >= 1000 THEN
        RETURN 0;
    END IF;
    INSERT INTO audit_log (organization_id, entry_id, at, user_id, action, after, reason, link_id)
    VALUES ($1, $2, clock_timestamp(), who, $3,
            jsonb_build_object('operation', left($4, 200), 'permission', left($5, 200), 'success', false),
            left($6, 2000) || CASE WHEN own = 99 OR total = 999
                THEN '; further denials within this hour are not recorded' ELSE '' END,
            pfa_link_id($1));
    PERFORM pfa_expect_link();
    RETURN 1;
END $$;

-- Makes the overlays of these pairs of user and record agree with the modifications that are left, after a
-- push has settled some. A modification that holds no delta has no part in them.
CREATE FUNCTION pfa_rebuild_overlays(users text[], ids text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{sync}');
BEGIN
    PERFORM FROM pfa_mirror AS r
    WHERE r.organization_id = code AND r.pfa_id = ANY (ids)
    ORDER BY r.pfa_id FOR SHARE;
    -- statement: overlays.drop_pairs (organization_id = code, users = users, ids = ids)
    -- statement: overlays.put_pairs (organization_id = code, users = users, ids = ids)
END $$;

-- Makes the users' other changes of settled records, drafts too, start from what PEMS has taken.
-- `settled`: rows of user_id, pfa_id, delta; of what this transaction has settled and the fields of it alone.
CREATE FUNCTION pfa_shift_bases(settled jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{sync}');
    ids  uuid[] := pfa_settled();
BEGIN
    UPDATE pfa_modification AS m
    SET base = m.base || coalesce((
            SELECT jsonb_object_agg(f.key, f.value)
            FROM jsonb_each(s.delta) AS f (key, value)
            WHERE m.base ? f.key AND t.delta ? f.key), '{}')
    FROM jsonb_to_recordset(settled) AS s (user_id text, pfa_id text, delta jsonb)
    JOIN pfa_modification AS t
      ON t.organization_id = code AND t.modification_id = ANY (ids)
     AND t.user_id = s.user_id AND t.pfa_id = s.pfa_id
    WHERE m.organization_id = code
      AND m.user_id = s.user_id
      AND m.pfa_id = s.pfa_id
      AND m.state <> 'synced';
END $$;

-- Turns the changes of a member that wait to be sent into drafts, one of each record, when the membership ends: the
-- same statement as sql/withdrawal.sql has.
CREATE FUNCTION pfa_withdraw_changes(member text, at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{manage_users}');
BEGIN
    PERFORM pfa_expect_entries('withdraw ' || member, NULL, 1);
    WITH waiting AS (
        SELECT m.modification_id, m.pfa_id, m.state, m.committed_at, m.delta, m.base
        FROM pfa_modification AS m
        WHERE m.organization_id = code
          AND m.user_id = member
          AND m.state IN ('draft', 'committed', 'sync_error')
          AND m.sent_version IS NULL
          AND pfa_is_delta(m.delta)
    ), folded AS (
        SELECT w.pfa_id,
               (array_agg(w.modification_id
                   ORDER BY w.state = 'draft' DESC, w.committed_at DESC, w.modification_id DESC))[1] AS kept,
               jsonb_object_agg(f.key, f.value
                   ORDER BY w.state = 'draft', w.committed_at, w.modification_id) AS delta,
               coalesce(jsonb_object_agg(f.key, w.base -> f.key
                   ORDER BY w.state = 'draft' DESC, w.committed_at DESC, w.modification_id DESC)
                   FILTER (WHERE w.base ? f.key), '{}') AS base
        FROM waiting AS w
        CROSS JOIN LATERAL jsonb_each(w.delta) AS f (key, value)
        GROUP BY w.pfa_id
        HAVING bool_or(w.state <> 'draft')
    ), dropped AS (
        DELETE FROM pfa_modification AS m
        USING waiting AS w
        JOIN folded AS f ON f.pfa_id = w.pfa_id
        WHERE m.organization_id = code
          AND m.user_id = member
          AND m.modification_id = w.modification_id
          AND m.modification_id <> f.kept
          AND m.state IN ('draft', 'committed', 'sync_error')
    )
    UPDATE pfa_modification AS m
    SET state = 'draft',
        delta = f.delta,
        base = f.base,
        version = least(m.version + 1, 2000000000),
        committed_at = NULL,
        updated_at = least(at, statement_timestamp()),
        attempts = 0,
        failures = 0,
        first_attempt_at = NULL,
        next_attempt_at = NULL,
        sync_error = NULL
    FROM folded AS f
    WHERE m.organization_id = code
      AND m.user_id = member
      AND m.modification_id = f.kept
      AND m.state IN ('draft', 'committed', 'sync_error');
END $$;

-- Appends the link of this transaction's entries, as store/audit_chain.py does elsewhere, with the same
-- expressions: a role that could write links or the head itself could block all writers or forge a chain.
CREATE FUNCTION pfa_append_link(organization text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    link  uuid;
    made  record;
    facts bytea;
    head  audit_head;
BEGIN
    -- Of the organization's own entries: a token of several organizations is refreshed in one transaction.
    IF pfa_context() IS NULL THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    link := pfa_link_id(organization);
    SELECT count(*)::integer AS entries, clock_timestamp() AS at,
           sha256(string_agg(
               sha256(convert_to(CASE
                   WHEN e.was IS NOT NULL
                   THEN ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action,
                            e.pfa_id, e.modification_id, e.session_id, e.run_id, e.before, e.after,
                            e.reason, e.link_id, e.restores, e.base, e.was)::text
                   WHEN e.base IS NOT NULL
                   THEN ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action,
                            e.pfa_id, e.modification_id, e.session_id, e.run_id, e.before, e.after,
                            e.reason, e.link_id, e.restores, e.base)::text
                   WHEN e.restores::text IS NOT DISTINCT FROM CASE WHEN e.action = 'restore' THEN
                       substring(e.reason FROM '^restores entry ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$')
                   END
                   THEN ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action,
                            e.pfa_id, e.modification_id, e.session_id, e.run_id, e.before, e.after,
                            e.reason, e.link_id)::text
                   ELSE ROW(e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action,
                            e.pfa_id, e.modification_id, e.session_id, e.run_id, e.before, e.after,
                            e.reason, e.link_id, e.restores)::text
               END, 'UTF8')),
               ''::bytea ORDER BY e.entry_id)) AS content
    INTO made
    FROM audit_log AS e WHERE e.organization_id = organization AND e.link_id = link;
    IF made.entries = 0 THEN
        RETURN;
    END IF;
    facts := sha256(convert_to(ROW(organization, link, made.entries,
        extract(epoch FROM made.at))::text, 'UTF8') || made.content);
    -- All writers of the organization wait from here on: a session that is left open here is ended.
    PERFORM set_config('idle_in_transaction_session_timeout', '60s', true);
    INSERT INTO audit_head AS h (organization_id, number, digest)
    VALUES (organization, 1, sha256(int8send(1) || facts))
    ON CONFLICT (organization_id) DO UPDATE
    SET number = h.number + 1, digest = sha256(h.digest || int8send(h.number + 1) || facts)
    RETURNING h.* INTO head;
    INSERT INTO audit_link (organization_id, number, link_id, entry_count, at, content, digest)
    VALUES (organization, head.number, link, made.entries, made.at, made.content, head.digest);
END $$;

-- How many modifications of all users are in each state.
CREATE FUNCTION pfa_modification_counts() RETURNS TABLE (state text, number bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{read}');
BEGIN
    RETURN QUERY SELECT m.state, count(*) FROM pfa_modification AS m
    WHERE m.organization_id = code GROUP BY m.state;
END $$;

-- How many modifications a push has given up, and since when the oldest of the others waits.
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

-- How many conflicts of all users are unresolved.
CREATE FUNCTION pfa_conflict_count() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    code text := pfa_require_scope('{read}');
BEGIN
    RETURN (SELECT count(*) FROM pfa_sync_conflict AS c
            WHERE c.organization_id = code AND c.status = 'unresolved');
END $$;

-- Whether the index of words serves two letters. It has the threes of each word, blanks around it: of a text that
-- contains two ASCII letters a three with a letter before or behind them, or the two as a word. That is all where ASCII
-- letters alone are letters, as in a database with locale C; elsewhere another letter may stand beside them.
CREATE FUNCTION pfa_finds_pairs() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    -- What the extension has may be where this connection does not look.
    IF to_regoperator('<%(text, text)') IS NULL OR to_regproc('show_trgm') IS NULL THEN
        RETURN false;
    END IF;
    RETURN show_trgm('ü東') = '{}';
END $$;

-- The ids of the mirror's records whose text is LIKE the pattern; at most one more than `most`, null: all.
-- LIKE is not leakproof: under a policy it is called for every record, and the index is not used.
CREATE FUNCTION pfa_search(pattern text, most integer) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000 AS $$
DECLARE
    code text := (pfa_context())[1];
    pair text;
BEGIN
    IF pattern COLLATE "C" !~ '[0-9a-z]{3}' THEN
        pair := substring(pattern COLLATE "C" FROM '[0-9a-z]{2}');
    END IF;
    IF pair IS NOT NULL AND pfa_finds_pairs() THEN
        -- In this form the index is not asked for the pattern, of which it has nothing.
        RETURN QUERY SELECT m.pfa_id FROM pfa_mirror AS m
        WHERE m.organization_id = code
          AND (m.search_text ~ ('[0-9a-z]' || pair) OR m.search_text ~ (pair || '[0-9a-z]') OR pair <% m.search_text)
          AND (m.search_text NOT LIKE pattern) IS FALSE
        LIMIT most + 1;
        RETURN;
    END IF;
    RETURN QUERY SELECT m.pfa_id FROM pfa_mirror AS m
    WHERE m.organization_id = code AND m.search_text LIKE pattern
    LIMIT most + 1;
END $$;

-- Renews the mirror's statistics, which only the table's owner may do.
CREATE FUNCTION pfa_analyze_mirror() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    PERFORM pfa_require_scope('{refresh_data,import}');
    -- A holder of this lock, which the end of a transaction releases, makes no other pull wait.
    ANALYZE (SKIP_LOCKED) pfa_mirror, pfa_digest;
END $$;

-- pfa_reserve_mirror for the application's role. Only while there are no indexes, which is before the first records,
-- can a holder of this lock make others wait.
CREATE FUNCTION pfa_reserve_empty_mirror() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    PERFORM pfa_require_scope('{refresh_data,import}');
    RETURN pfa_reserve_mirror();
END $$;

-- pfa_index_mirror for the application's role.
CREATE FUNCTION pfa_index_filled_mirror() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    PERFORM pfa_require_scope('{refresh_data,import}');
    PERFORM pfa_index_mirror();
END $$;

-- Renews the statistics that a bulk write of so many modifications or entries has made useless, and returns of which
-- tables. Without them, or with those of an empty table, the planner takes a user's drafts for one row and compares
-- all of them with all. A table is analyzed where nothing is known of it, where it has more than twice the pages that
-- are known, and where as many rows were written as are looked at, so that it costs a fiftieth of writing them. Only
-- columns that are looked up by, and of few rows: a sample of all is autovacuum's, which these do not postpone.
-- No row of the trail changes: what is known of it serves until it is several times as long.
-- One that has no row is left out: what is known of its columns serves better than nothing. `within` a transaction
-- only what such a write fills: after a rollback nothing would be known of the columns, and the rows counted.
CREATE FUNCTION pfa_renew_statistics(written bigint, within boolean) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET default_statistics_target = 10 SET client_min_messages = error AS $$
#variable_conflict use_variable
DECLARE
    sample  bigint := 300 * current_setting('default_statistics_target')::bigint;
    renewed text[] := '{}';
    filled  boolean;
    one     record;
BEGIN
    FOR one IN
        SELECT t.name, t.columns
        FROM (VALUES
            ('pfa_modification', true,
             '(organization_id, modification_id, pfa_id, user_id, session_id, state, committed_at)'),
            ('pfa_overlay', true,
             '(organization_id, user_id, pfa_id, modification_id, category)'),
            ('audit_log', true,
             '(organization_id, entry_id, user_id, action, pfa_id, session_id, link_id, restores)'),
            ('audit_link', false, ''),
            ('pfa_mirror', false, ''),
            ('pfa_digest', false, '(organization_id, pfa_id, version)'),
            ('pfa_mirror_history', false, '(organization_id, pfa_id, version, replaced_at, written_at)'),
            ('kpi_rollup', false, ''),
            ('kpi_month', false, ''),
            ('kpi_field', false, ''),
            ('kpi_overlay', false, ''),
            ('pfa_sync_outcome', false, ''),
            ('pfa_sync_conflict', false, '')) AS t (name, is_written, columns)
        JOIN pg_class AS c ON c.oid = to_regclass(t.name)
        CROSS JOIN LATERAL (
            SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint) AS s (pages)
        -- Whatever the planner believes of a table of one page, it reads no more than that page.
        WHERE s.pages > 1
          AND (t.is_written OR NOT within)
          AND (c.reltuples <= 0
               OR s.pages > 2 * c.relpages + 10
               OR (t.is_written AND written >= 0.8 * least(
                   c.reltuples + written, CASE WHEN t.name <> 'audit_log' THEN sample END))) LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', one.name) INTO filled;
        IF filled THEN
            -- A holder of this lock makes no one else wait for it.
            EXECUTE format('ANALYZE (SKIP_LOCKED) %I %s', one.name, one.columns);
            renewed := renewed || one.name;
        END IF;
    END LOOP;
    RETURN renewed;
END $$;

-- The same for the application's role, in a transaction of any scope.
CREATE FUNCTION pfa_analyze_written(written bigint, within boolean) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    IF pfa_context() IS NULL THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    RETURN pfa_renew_statistics(written, within);
END $$;

-- The register of tokens, as sql/tokens.sql writes it elsewhere: a role that could write rows of it could hide
-- tokens from those who list and revoke them.

-- Registers a token in the organization of the context: one that a key in force signed, of the caller or of anyone
-- to those who manage users. Each column is what the token says; who issued it is the caller.
CREATE FUNCTION pfa_register_token(token text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
    context text[] := pfa_context();
    code    text := context[2];
    claims  record;
    payload jsonb;
    held    jsonb;
BEGIN
    SELECT * INTO claims FROM pfa_verify_token(token, clock_timestamp());
    IF NOT FOUND OR code IS NULL OR NOT claims.organizations ? code
        OR (claims.user_id <> context[5] AND context[3] <> 'manage_users') THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    payload := pfa_token_payload(pfa_base64url(split_part(token, '.', 2)));
    held := payload -> 'organizations' -> code;
    INSERT INTO pfa_token (organization_id, token_id, user_id, kind, role, rights, narrowed, organizations,
                           key_id, issued_at, issued_by, expires_at, replaces)
    VALUES (code, claims.token_id, claims.user_id,
            CASE WHEN held ->> 'role' = 'service' THEN 'service' ELSE 'user' END,
            held ->> 'role',
            ARRAY(SELECT r.name FROM jsonb_array_elements_text(held -> 'rights') AS r (name)
                  ORDER BY r.name COLLATE "C"),
            coalesce(held -> 'narrowed' = 'true', false),
            ARRAY(SELECT o.code FROM jsonb_object_keys(payload -> 'organizations') AS o (code)
                  ORDER BY o.code COLLATE "C"),
            claims.key_id, claims.issued_at, context[5], claims.expires_at,
            CASE WHEN jsonb_typeof(payload -> 'replaces') = 'string' THEN payload ->> 'replaces' END);
    PERFORM pfa_expect_entries(CASE WHEN payload ? 'replaces' THEN 'token_refresh' ELSE 'token_issue' END, NULL, 1);
END $$;

-- Revokes tokens of the context's organization: these, or a user's, or all; the caller's own, or anyone's to those
-- who manage users. Returns the ids of those that were in force.
CREATE FUNCTION pfa_revoke_tokens(ids text[], subject text) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    context text[] := pfa_context();
    manages boolean := 'manage_users' = ANY (string_to_array(context[4], ','));
    moment  timestamptz := clock_timestamp();
    number  integer;
BEGIN
    IF context[2] IS NULL THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    RETURN QUERY
    UPDATE pfa_token AS t
    SET revoked_at = moment,
        revoked_by = context[5]
    WHERE t.organization_id = context[2]
      AND t.revoked_at IS NULL
      AND t.expires_at > moment
      AND (ids IS NULL OR t.token_id = ANY (ids))
      AND (subject IS NULL OR t.user_id = subject)
      AND (manages OR t.user_id = context[5])
    RETURNING t.token_id::text;
    GET DIAGNOSTICS number = ROW_COUNT;
    PERFORM pfa_expect_entries('token_revoke', NULL, number);
END $$;

-- Ends every token of a user, or of all users, that was issued until now, whether the register has it or not.
-- Returns the users; one whose row is locked is left out: who holds a transaction open cannot delay it for others.
CREATE FUNCTION pfa_end_tokens(subject text) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
    context text[] := pfa_context();
    manages boolean := 'manage_users' = ANY (string_to_array(context[4], ','));
    moment  timestamptz;
BEGIN
    IF context[2] IS NULL OR NOT (manages OR coalesce(subject = context[5], false)) THEN
        RAISE insufficient_privilege USING MESSAGE = 'the transaction is not authorized for this',
            CONSTRAINT = 'pfa_refusal';
    END IF;
    moment := date_trunc('second', clock_timestamp());
    RETURN QUERY
    WITH locked AS (
        SELECT m.user_id
        FROM pfa_member AS m
        WHERE m.organization_id = context[2] AND (subject IS NULL OR m.user_id = subject)
        ORDER BY m.user_id
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE pfa_member AS m
    SET tokens_since = greatest(moment, m.tokens_since) + interval '1 second'
    FROM locked AS l
    WHERE m.organization_id = context[2] AND m.user_id = l.user_id
    RETURNING m.user_id::text;
    PERFORM pfa_expect_entries('token_revoke', NULL, 1);
END $$;

-- == 11. Row-level security: functions that write ==

-- The role writes no table. Each statement of the program that writes is the body of one of these functions, which
-- are made of the files beside this one (sql/functions.py): in front of it is the check of scope, organization and
-- user, and what the time, the user and the link of a row are is not the caller's to say.

-- The functions that write go here.

-- Functions with their owner's rights find what they call in the catalog and in this schema, never where the
-- caller could have put it. What they call among themselves runs within them and sets no second search_path,
-- which is what costs.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc AS p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'pfa\_%'
                 AND p.prosecdef LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', one, current_schema());
    END LOOP;
END $$;

-- == 12. Row-level security: policies ==

-- USING is also what a row has to pass to be locked, WITH CHECK only what is written.
-- The owner's policy lets migrations and the functions above see everything. No policy for a command: it
-- changes no row. Each call is in a sub-select, so that it runs once per statement and not per row.
DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'pfa_organization', 'pfa_member', 'pfa_token', 'audit_log', 'audit_link', 'audit_head', 'pfa_mirror',
        'pfa_mirror_history', 'kpi_rollup', 'pfa_sync_log', 'pfa_sync_outcome', 'pfa_pull_page', 'pfa_lease',
        'kpi_overlay', 'kpi_month', 'kpi_field', 'pfa_modification', 'pfa_overlay', 'pfa_sync_conflict', 'pfa_view',
        'audit_expected', 'pfa_digest'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY pfa_owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)',
                       tenant_table);
    END LOOP;

    -- What is written beside a row locks it, in the scopes of such writes. WITH CHECK (false): no row is written but
    -- by the functions above.

    -- An organization is seen by its members, and members see one another. Their own row is locked by what they
    -- change, others' and the organization's by who settles others' changes or changes the mirror: who only reads
    -- holds up no one.
    CREATE POLICY pfa_select ON pfa_organization FOR SELECT
        USING (organization_id = (SELECT pfa_context_organization()));
    CREATE POLICY pfa_lock ON pfa_organization FOR UPDATE
        USING (organization_id = (SELECT pfa_context_organization())
               AND (SELECT pfa_scope_in('{sync,refresh_data,import,manage_settings}')))
        WITH CHECK (false);
    CREATE POLICY pfa_select ON pfa_member FOR SELECT
        USING (organization_id = (SELECT pfa_context_organization()));
    CREATE POLICY pfa_lock ON pfa_member FOR UPDATE
        USING (organization_id = (SELECT pfa_context_organization())
               AND (user_id = (SELECT pfa_context_user())
                    OR (SELECT pfa_scope_in('{sync,manage_users,manage_settings}'))))
        WITH CHECK (false);

    -- A user's own tokens, or all with the right to manage users. Functions write them.
    CREATE POLICY pfa_select ON pfa_token FOR SELECT
        USING (organization_id = (SELECT pfa_context_organization())
               AND (user_id = (SELECT pfa_context_user()) OR (SELECT pfa_has_right('manage_users'))));

    -- Audit: a user's own entries, or all with the right to manage users. Which entries are archived, and where, is
    -- said to all who miss them.
    CREATE POLICY pfa_select ON audit_log FOR SELECT
        USING (organization_id = (SELECT pfa_context_organization())
               AND (user_id = (SELECT pfa_context_user()) OR action = 'archive'
                    OR (SELECT pfa_has_right('manage_users'))));
    CREATE POLICY pfa_select ON audit_link FOR SELECT
        USING (organization_id = (SELECT pfa_context_organization()));
    CREATE POLICY pfa_select ON audit_head FOR SELECT
        USING (organization_id = (SELECT pfa_context_organization()));

    -- Mirror, history, sums, runs, leases and pages: all of the organization.
    CREATE POLICY pfa_select ON pfa_mirror FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_lock ON pfa_mirror FOR UPDATE
        USING (organization_id = (SELECT pfa_records_organization())
               AND (SELECT pfa_scope_in('{save_draft,commit,sync,refresh_data,import,manage_users,'
                                        'manage_settings}')))
        WITH CHECK (false);
    CREATE POLICY pfa_select ON pfa_mirror_history FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON kpi_rollup FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON kpi_month FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON kpi_field FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON pfa_sync_log FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON pfa_sync_outcome FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON pfa_pull_page FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));
    CREATE POLICY pfa_select ON pfa_lease FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization()));

    -- Digests: of who pulls. Others could try amounts until a text has the digest.
    CREATE POLICY pfa_select ON pfa_digest FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization())
               AND (SELECT pfa_scope_in('{refresh_data,import}')));

    -- Modifications: a user's own; an admin's scope all; a push all but drafts.
    CREATE POLICY pfa_select ON pfa_modification FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = (SELECT pfa_context_user())
                    OR (SELECT pfa_is_admin_scope())
                    OR state <> 'draft' AND (SELECT pfa_scope_in('{sync}'))));
    CREATE POLICY pfa_lock ON pfa_modification FOR UPDATE
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = (SELECT pfa_context_user())
                    OR (SELECT pfa_is_admin_scope())
                    OR state <> 'draft' AND (SELECT pfa_scope_in('{sync}'))))
        WITH CHECK (false);

    -- Overlays and what they add to the sums: a user's own; an admin's scope all.
    CREATE POLICY pfa_select ON pfa_overlay FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = (SELECT pfa_context_user()) OR (SELECT pfa_is_admin_scope())));
    CREATE POLICY pfa_select ON kpi_overlay FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = (SELECT pfa_context_user()) OR (SELECT pfa_is_admin_scope())));

    -- Views: a user's own, and those shared with the organization.
    CREATE POLICY pfa_select ON pfa_view FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = '' OR user_id = (SELECT pfa_context_user())));

    -- Conflicts: a user's own; an admin's scope and a push all.
    CREATE POLICY pfa_select ON pfa_sync_conflict FOR SELECT
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = (SELECT pfa_context_user())
                    OR (SELECT pfa_is_admin_scope())
                    OR (SELECT pfa_scope_in('{sync}'))));
    CREATE POLICY pfa_lock ON pfa_sync_conflict FOR UPDATE
        USING (organization_id = (SELECT pfa_records_organization())
               AND (user_id = (SELECT pfa_context_user())
                    OR (SELECT pfa_is_admin_scope())
                    OR (SELECT pfa_scope_in('{sync}'))))
        WITH CHECK (false);
END $$;

-- == 13. Grants ==

-- The owner alone reads keys and what signs. Every other function is granted by name.
REVOKE ALL ON TABLE pfa_signing_key, pfa_token, pfa_rls_secret FROM PUBLIC;
REVOKE ALL ON FUNCTION pfa_hmac_pad(bytea, integer), pfa_token_roles(), pfa_token_rights(),
    pfa_base64url(text), pfa_token_header(bytea), pfa_token_payload(bytea),
    pfa_token_is_valid(jsonb, timestamptz), pfa_verify_token(text, timestamptz),
    pfa_sign_context(text), pfa_sign_token(text, text), pfa_cached_token(text),
    pfa_raise_token_error(text, text), pfa_require_scope(text[]), pfa_context(),
    pfa_records_organization(), pfa_context_organization(), pfa_context_user(), pfa_scope_in(text[]),
    pfa_is_admin_scope(), pfa_rights(), pfa_has_right(text),
    pfa_authorize(text, text, text, boolean), pfa_token_status(text, text),
    pfa_rebuild_overlays(text[], text[]), pfa_shift_bases(jsonb), pfa_append_link(text),
    pfa_withdraw_changes(text, timestamptz),
    pfa_deny(text, uuid, text, text, text, text), pfa_modification_counts(), pfa_waiting_counts(), pfa_conflict_count(),
    pfa_search(text, integer), pfa_analyze_mirror(), pfa_renew_statistics(bigint, boolean), pfa_analyze_written(bigint, boolean),
    pfa_index_mirror(), pfa_reserve_mirror(), pfa_reserve_empty_mirror(), pfa_index_filled_mirror(),
    pfa_register_token(text), pfa_revoke_tokens(text[], text), pfa_end_tokens(text),
    pfa_link_id(text), pfa_require_caller(text, text, text[], text), pfa_may_write_all(),
    pfa_require_fields(jsonb, boolean), pfa_deltas_of(uuid[]), pfa_is_own_run(text, uuid),
    pfa_is_run_of_another(text, uuid), pfa_may_run(text), pfa_holds_lease(text, text, uuid),
    pfa_is_lease_of_another(text, text, uuid), pfa_ended_run(uuid), pfa_require_own_incoming(),
    pfa_settled(), pfa_has_fields_of(jsonb, jsonb), pfa_are_no_conflict(jsonb, jsonb),
    pfa_refreshes_wrongly(text, jsonb), pfa_recommits_wrongly(text, jsonb),
    pfa_disputes_others(text, jsonb), pfa_adds_to_deltas(text, jsonb),
    pfa_received_unsettled(text), pfa_knows_unsettled(text, jsonb), pfa_trail_kinds(), pfa_counted_kinds(),
    pfa_may_record(text), pfa_expect_entries(text, uuid[], integer), pfa_expect_link(), pfa_check_trail(),
    pfa_trail_differs(text, uuid)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pfa_context(),
    pfa_records_organization(), pfa_context_organization(), pfa_context_user(), pfa_scope_in(text[]),
    pfa_is_admin_scope(), pfa_rights(), pfa_has_right(text),
    pfa_authorize(text, text, text, boolean), pfa_token_status(text, text),
    pfa_rebuild_overlays(text[], text[]), pfa_shift_bases(jsonb), pfa_append_link(text),
    pfa_withdraw_changes(text, timestamptz),
    pfa_deny(text, uuid, text, text, text, text), pfa_modification_counts(), pfa_waiting_counts(), pfa_conflict_count(),
    pfa_search(text, integer), pfa_analyze_mirror(), pfa_reserve_empty_mirror(), pfa_index_filled_mirror(),
    pfa_analyze_written(bigint, boolean),
    pfa_register_token(text),
    pfa_revoke_tokens(text[], text), pfa_end_tokens(text) TO pfa_app;

-- The role reads; it locks rows, which requires the right to update a column of them; and it calls the functions
-- that write. No right on a whole table but SELECT: with one the table could be locked.
GRANT SELECT ON pfa_organization, pfa_member, pfa_mirror, pfa_mirror_history, kpi_rollup, kpi_overlay, kpi_month,
    kpi_field, pfa_sync_log, pfa_sync_outcome, pfa_pull_page, pfa_lease, pfa_modification, pfa_overlay,
    pfa_sync_conflict, pfa_view, audit_log, audit_link, audit_head, pfa_schema_migration, pfa_digest TO pfa_app;
GRANT UPDATE (organization_id) ON pfa_organization, pfa_member, pfa_mirror, pfa_modification,
    pfa_sync_conflict TO pfa_app;
GRANT SELECT ON pfa_token TO pfa_app;
-- The id of its key is in the header of every token; the secret is not granted.
GRANT SELECT (key_id, created_at, not_after, retired_at) ON pfa_signing_key TO pfa_app;

DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc AS p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'pfa\_do\_%' LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pfa_app', one);
    END LOOP;
END $$;

DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO pfa_app', current_schema());
    -- A pull brings its records into a temporary table first.
    IF NOT has_database_privilege('pfa_app', current_database(), 'TEMP') THEN
        EXECUTE format('GRANT TEMP ON DATABASE %I TO pfa_app', current_database());
    END IF;
    -- A role that could create functions beside these could have them called.
    IF has_schema_privilege('pfa_app', current_schema(), 'CREATE') THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    END IF;
END $$;

-- == 13. What a row may hold ==

-- A check for each column of these types, beside those of the tables above: whatever writes a row, no reader
-- meets a value that it cannot take. By type
--   timestamptz       within the years that every client can name, neither infinite
--   integer, bigint   from 0, with room to count on
--   text, text[]      of a bounded length; of a closed set where the program's own enumeration is one
--   jsonb             of the form that its readers expect, of bounded depth and size
--   numeric           sums neither NaN nor infinite
-- Columns that are generated need none.
CREATE FUNCTION pfa_row_checks() RETURNS TABLE (table_name text, column_name text, condition text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    edited   constant text := '''{areaSilo,category,class,source,dor,isActualized,isDiscontinued,isFundsTransferable,'
        || 'monthlyRate,purchasePrice,manufacturer,model,equipment,forecastStart,forecastEnd,actualStart,'
        || 'actualEnd}''';
    rights   constant text := '''{read,export,view_financials,save_draft,edit_forecast,edit_actuals,sync,'
        || 'import,refresh_data,manage_users,manage_settings,override_guards}''';
    flat     constant text := 'jsonb_typeof(%1$I) IN (''object'', ''null'') AND pg_column_size(%1$I) <= 4000000'
        || ' AND NOT jsonb_path_exists(%1$I, ''strict $.**{32}'')'
        || ' AND NOT jsonb_path_exists(%1$I, ''strict $.** ? (@ <= -1e400 || @ >= 1e400)'')';
    document constant text := 'pg_column_size(%1$I) <= 67108864'
        || ' AND NOT jsonb_path_exists(%1$I, ''strict $.**{101}'')';
BEGIN
    RETURN QUERY
        WITH special (table_name, column_name, condition) AS (VALUES
            ('pfa_mirror', 'data', document),
            ('pfa_mirror_history', 'data', 'jsonb_typeof(%1$I) = ''object'' AND ' || document),
            ('pfa_overlay', 'data', 'jsonb_typeof(%1$I) = ''object'' AND ' || document),
            ('pfa_overlay', 'delta', 'pfa_is_delta(%1$I)'),
            ('pfa_modification', 'delta', 'pfa_is_delta(%1$I)'),
            ('pfa_modification', 'base', 'pfa_is_base(%1$I)'),
            ('pfa_modification', 'change_reason', 'length(%1$I) <= 100000'),
            ('pfa_modification', 'sync_error', 'length(%1$I) <= 100000'),
            ('pfa_modification', 'sent_fields', '%1$I <@ ' || edited),
            ('pfa_modification', 'attempts', '%1$I BETWEEN 0 AND 1000000'),
            ('pfa_modification', 'failures', '%1$I BETWEEN 0 AND 1000000'),
            ('pfa_modification', 'generation', '%1$I BETWEEN 0 AND 1000000'),
            ('pfa_sync_log', 'counts', 'jsonb_typeof(%1$I) = ''object'' AND pg_column_size(%1$I) <= 100000'
                || ' AND NOT jsonb_path_exists(%1$I, ''strict $.* ? (@.type() != "number" || @ < 0'
                || ' || @ > 1000000000000000 || @.floor() != @)'')'),
            ('pfa_sync_log', 'message', 'length(%1$I) <= 100000'),
            ('pfa_sync_log', 'source', 'length(%1$I) <= 100000'),
            ('pfa_sync_log', 'kind', '%1$I IN (''full'', ''incremental'', ''since'')'),
            ('pfa_sync_outcome', 'message', 'length(%1$I) <= 100000'),
            ('pfa_sync_outcome', 'position', 'length(%1$I) <= 100000'),
            ('pfa_sync_outcome', 'outcome', '%1$I IN (''synced'', ''conflict'', ''retrying'', ''rejected'','
                || ' ''released'', ''recovered'')'),
            ('pfa_sync_outcome', 'pfa_id', 'length(%1$I) <= 10000'),
            ('pfa_sync_conflict', 'fields', 'jsonb_typeof(%1$I) = ''array'' AND %1$I <> ''[]'''
                || ' AND pg_column_size(%1$I) <= 4000000'
                || ' AND NOT jsonb_path_exists(%1$I, ''strict $[*] ? (@.type() != "object")'')'
                || ' AND NOT jsonb_path_exists(%1$I, ''$[*] ? (!exists(@.field)'
                || ' || @.field.type() != "string")'')'
                || ' AND NOT jsonb_path_exists(%1$I, ''strict $.**{3}'')'
                || ' AND NOT jsonb_path_exists(%1$I, ''strict $.** ? (@ <= -1e400 || @ >= 1e400)'')'),
            ('pfa_sync_conflict', 'settlement', flat),
            ('pfa_view', 'content', 'jsonb_typeof(%1$I) = ''object'' AND pg_column_size(%1$I) <= 1000000'
                || ' AND NOT jsonb_path_exists(%1$I, ''strict $.**{5}'')'
                || ' AND NOT jsonb_path_exists(%1$I, ''strict $.** ? (@ <= -1e400 || @ >= 1e400)'')'),
            ('pfa_view', 'name', 'length(%1$I) <= 200'),
            ('pfa_lease', 'name', '%1$I IN (''pull'', ''push'')'),
            ('pfa_pull_page', 'ids', 'cardinality(%1$I) <= 100000'),
            ('pfa_member', 'rights', '%1$I <@ ' || rights),
            ('pfa_token', 'rights', '%1$I <@ ' || rights),
            ('pfa_token', 'role', '%1$I IN (''viewer'', ''editor'', ''admin'', ''service'')'),
            ('audit_log', 'action', '%1$I IN (''save'', ''unset'', ''commit'', ''uncommit'', ''discard'','
                || ' ''restore'', ''settle'', ''undo'', ''resolve'', ''override'', ''begin'', ''pull'', ''push'', ''retry'','
                || ' ''acknowledge'', ''reject'', ''postpone'', ''dispute'', ''release'', ''organization'','
                || ' ''configure'', ''grant'', ''revoke'', ''repair'', ''archive'', ''token_issue'', ''token_refresh'','
                || ' ''token_revoke'', ''key_register'', ''key_rotate'', ''key_retire'','
                || ' ''view_save'', ''view_delete'', ''permission_denied'', ''sync_skipped'')'),
            ('audit_log', 'before', flat), ('audit_log', 'after', flat), ('audit_log', 'base', flat),
            ('audit_log', 'was', flat),
            ('audit_log', 'reason', 'length(%1$I) <= 100000')
        )
        SELECT c.relname::text, a.attname::text,
                   format(coalesce(s.condition, CASE
                       WHEN a.atttypid = 'timestamptz'::regtype
                       THEN '%1$I >= timestamptz ''0001-01-02 00:00:00+00'''
                           || ' AND %1$I < timestamptz ''9999-12-30 00:00:00+00'''
                       WHEN a.atttypid = 'integer'::regtype THEN '%1$I BETWEEN 0 AND 2000000000'
                       WHEN a.atttypid = 'bigint'::regtype
                       THEN '%1$I BETWEEN -1000000000000000 AND 1000000000000000'
                       WHEN a.atttypid = 'numeric'::regtype THEN '%1$I > -1e40 AND %1$I < 1e40'
                       WHEN a.atttypid = 'text[]'::regtype THEN 'cardinality(%1$I) <= 1000'
                       WHEN a.attname IN ('pfa_id', 'user_id', 'session_id') THEN 'length(%1$I) <= 200'
                       WHEN a.atttypid = 'text'::regtype THEN 'length(%1$I) <= 10000'
                       WHEN a.atttypid = 'jsonb'::regtype THEN flat
                   END), a.attname)
            FROM pg_class AS c
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            LEFT JOIN special AS s ON s.table_name = c.relname AND s.column_name = a.attname
            WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'pfa_mirror'::regclass) AND c.relkind IN ('r', 'p')
              AND (c.relname LIKE 'pfa\_%' OR c.relname LIKE 'audit\_%' OR c.relname LIKE 'kpi\_%')
              AND a.attgenerated = ''
              AND a.atttypid IN ('timestamptz'::regtype, 'integer'::regtype, 'bigint'::regtype,
                                 'numeric'::regtype, 'text'::regtype, 'text[]'::regtype, 'jsonb'::regtype);
END $$;

-- The rows of an organization that break a check, at most a thousand of a table: which columns, and the row's key.
-- No row can, unless it is older than its check or a check was dropped.
CREATE FUNCTION pfa_bad_rows_of(code text)
RETURNS TABLE (table_name text, columns text[], row_key jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT k.table_name AS name, string_agg(format('(%s)', k.condition), ' AND ') AS all_of,
               string_agg(format('CASE WHEN NOT (%s) THEN %L END', k.condition, k.column_name), ', '
                          ORDER BY k.column_name) AS each,
               (SELECT string_agg(format('%L, t.%I', a.attname, a.attname), ', ' ORDER BY a.attnum)
                FROM pg_index AS i
                JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
                WHERE i.indrelid = k.table_name::regclass AND i.indisprimary
                  AND a.attname <> 'organization_id') AS keys
        FROM pfa_row_checks() AS k
        JOIN pg_class AS c ON c.oid = k.table_name::regclass
        -- A replica refuses to read a table that is not logged; such a one is empty outside a transaction.
        WHERE c.relpersistence = 'p' OR NOT pg_is_in_recovery()
        GROUP BY k.table_name
        HAVING bool_or(k.column_name = 'organization_id')
        ORDER BY k.table_name LOOP
        RETURN QUERY EXECUTE format(
            'SELECT %L::text, array_remove(ARRAY[%s], NULL)::text[], jsonb_build_object(%s)'
            || ' FROM %I AS t WHERE t.organization_id = $1 AND NOT (%s) LIMIT 1000',
            one.name, one.each, one.keys, one.name, one.all_of) USING code;
    END LOOP;
END $$;

-- Deletes those of them that something else computes anew or replaces, and yields what they held. Left are the
-- trail, which nothing deletes from, records, which a pull brings anew, members, tokens and keys.
CREATE FUNCTION pfa_drop_bad_rows_of(code text)
RETURNS TABLE (table_name text, columns text[], pfa_id text, content text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT k.table_name AS name, string_agg(format('(%s)', k.condition), ' AND ') AS all_of,
               string_agg(format('CASE WHEN NOT (%s) THEN %L END', k.condition, k.column_name), ', '
                          ORDER BY k.column_name) AS each,
               (SELECT string_agg(format('t.%I = b.%I', a.attname, a.attname), ' AND ' ORDER BY a.attnum)
                FROM pg_index AS i
                JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
                WHERE i.indrelid = k.table_name::regclass AND i.indisprimary) AS is_that
        FROM pfa_row_checks() AS k
        WHERE k.table_name IN ('pfa_modification', 'pfa_overlay', 'pfa_sync_conflict', 'pfa_sync_log',
                               'pfa_sync_outcome', 'pfa_lease', 'pfa_pull_page', 'kpi_rollup', 'kpi_overlay', 'kpi_month',
                               'kpi_field', 'pfa_digest')
        GROUP BY k.table_name ORDER BY k.table_name LOOP
        -- In two steps, the second of what was found before: a distributed server computes nothing of a row that it
        -- deletes but what is the same in every session.
        RETURN QUERY EXECUTE format(
            'SELECT %L::text, array_remove(ARRAY[%s], NULL)::text[],'
            || ' left(to_jsonb(t) ->> ''pfa_id'', 200), left(to_jsonb(t)::text, 100000)'
            || ' FROM %I AS t WHERE t.organization_id = $1 AND NOT (%s)',
            one.name, one.each, one.name, one.all_of) USING code;
        IF FOUND THEN
            EXECUTE format(
                'WITH bad AS MATERIALIZED (SELECT * FROM %I AS t WHERE t.organization_id = $1 AND NOT (%s) FOR UPDATE)'
                || ' DELETE FROM %I AS t USING bad AS b WHERE t.organization_id = $1 AND %s',
                one.name, one.all_of, one.name, one.is_that) USING code;
        END IF;
    END LOOP;
END $$;

-- The same for an admin of the organization.
CREATE FUNCTION pfa_bad_rows() RETURNS TABLE (table_name text, columns text[], row_key jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT * FROM pfa_bad_rows_of(pfa_require_scope('{manage_settings}'));
END $$;
CREATE FUNCTION pfa_drop_bad_rows()
RETURNS TABLE (table_name text, columns text[], pfa_id text, content text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY SELECT * FROM pfa_drop_bad_rows_of(pfa_require_scope('{manage_settings}'));
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION pfa_bad_rows() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION pfa_drop_bad_rows() SET search_path = pg_catalog, %I, pg_temp',
                   current_schema());
END $$;
REVOKE ALL ON FUNCTION pfa_row_checks(), pfa_bad_rows_of(text), pfa_drop_bad_rows_of(text), pfa_bad_rows(),
    pfa_drop_bad_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pfa_bad_rows(), pfa_drop_bad_rows() TO pfa_app;

-- The checks themselves. Rows that break one are looked for first and named all at once.
DO $$
DECLARE
    one      record;
    all_of   text;
    broken   text;
    report   text := '';
BEGIN
    FOR one IN
        SELECT k.table_name, array_agg(k.condition ORDER BY k.column_name) AS conditions,
               array_agg(k.column_name ORDER BY k.column_name) AS columns,
               string_agg(format('DROP CONSTRAINT IF EXISTS %1$I, ADD CONSTRAINT %1$I CHECK (%2$s)',
                                 k.table_name || '_' || k.column_name || '_range', k.condition),
                          ', ' ORDER BY k.column_name) AS changes
        FROM pfa_row_checks() AS k
        GROUP BY k.table_name ORDER BY k.table_name LOOP
        all_of := array_to_string(one.conditions, ') AND (');
        EXECUTE format('SELECT true FROM %I WHERE NOT ((%s)) LIMIT 1', one.table_name, all_of) INTO broken;
        IF broken IS NOT NULL THEN
            FOR i IN 1 .. cardinality(one.columns) LOOP
                EXECUTE format(
                    'SELECT string_agg(shown.keys, ''; '') FROM (SELECT left((SELECT string_agg('
                    || 'k.key || '' '' || k.value, '', '') FROM jsonb_each_text(to_jsonb(t)) AS k'
                    || ' WHERE k.key IN (''organization_id'', ''user_id'', ''pfa_id'') OR k.key LIKE ''%%\_id'''
                    || '), 300) AS keys FROM %I AS t WHERE NOT (%s) LIMIT 5) AS shown',
                    one.table_name, one.conditions[i]) INTO broken;
                IF broken IS NOT NULL THEN
                    report := report || format(E'\n%s.%s: %s', one.table_name, one.columns[i], broken);
                END IF;
            END LOOP;
        ELSE
            EXECUTE format('ALTER TABLE %I %s', one.table_name, one.changes);
        END IF;
    END LOOP;
    IF report <> '' THEN
        RAISE SQLSTATE 'PFA10' USING MESSAGE = 'rows hold what no row may hold:' || report;
    END IF;
END $$;
