-- The foundation: organizations and members, the mirror of PEMS, private modifications with
-- their overlay, the KPI rollup, runs and the audit trail.
--
-- Every tenant table begins its keys and indexes with organization_id, which no statement ever
-- updates, so that the same schema distributes by it. Text that is compared or sorted is
-- COLLATE "C": code-point order, the same on every server.

CREATE TABLE pfa_organization (
    organization_id text COLLATE "C" PRIMARY KEY
        CHECK (organization_id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$'),
    name            text NOT NULL DEFAULT '',
    status          text NOT NULL DEFAULT 'active'
        CHECK (status IN ('active', 'suspended', 'archived')),
    created_at      timestamptz NOT NULL
);

-- Who may do what in an organization: the role is a template, the rights are what counts.
-- A writing user locks their own row, so that one user's writes take turns.
CREATE TABLE pfa_member (
    organization_id text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL CHECK (user_id <> ''),
    role            text NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
    rights          text[] NOT NULL,
    granted_by      text NOT NULL,
    granted_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

-- Whole days from start to end, the end exclusive; 0 when a date is missing or the end comes first.
-- A cast from text to date depends on DateStyle, make_date does not: only so it is immutable.
CREATE FUNCTION pfa_days(start_date text, end_date text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(0, coalesce(
    make_date(substr(end_date, 1, 4)::integer, substr(end_date, 6, 2)::integer,
              substr(end_date, 9, 2)::integer)
    - make_date(substr(start_date, 1, 4)::integer, substr(start_date, 6, 2)::integer,
                substr(start_date, 9, 2)::integer), 0));

-- Text for comparison whatever the case, the same on every server: lower() would ask its locale.
-- Latin, Greek and Cyrillic letters; text of ASCII alone takes the short way.
CREATE FUNCTION pfa_fold(content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN octet_length(content) = length(content) THEN lower(content COLLATE "C")
    ELSE translate(lower(content COLLATE "C"),
        'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽ'
        || 'ĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƠƢƤƦƧƩƬƮ'
        || 'ƯƱƲƳƵƷƸƼǄǅǇǈǊǋǍǏǑǓǕǗǙǛǞǠǢǤǦǨǪǬǮǱǲǴǶǷǸǺǼǾȀȂȄȆȈȊȌȎȐȒȔȖȘȚȜȞȠȢȤȦ'
        || 'ȨȪȬȮȰȲȺȻȽȾɁɃɄɅɆɈɊɌɎͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫϏϘϚϜ'
        || 'ϞϠϢϤϦϨϪϬϮϴϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫ'
        || 'ЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖ'
        || 'ӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮḀḂḄḆḈḊḌḎḐḒḔḖḘḚḜḞ'
        || 'ḠḢḤḦḨḪḬḮḰḲḴḶḸḺḼḾṀṂṄṆṈṊṌṎṐṒṔṖṘṚṜṞṠṢṤṦṨṪṬṮṰṲṴṶṸṺṼṾẀẂẄẆẈẊẌẎẐẒẔẞ'
        || 'ẠẢẤẦẨẪẬẮẰẲẴẶẸẺẼẾỀỂỄỆỈỊỌỎỐỒỔỖỘỚỜỞỠỢỤỦỨỪỬỮỰỲỴỶỸỺỼỾ',
        'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľ'
        || 'ŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵơƣƥʀƨʃƭʈ'
        || 'ưʊʋƴƶʒƹƽǆǆǉǉǌǌǎǐǒǔǖǘǚǜǟǡǣǥǧǩǫǭǯǳǳǵƕƿǹǻǽǿȁȃȅȇȉȋȍȏȑȓȕȗșțȝȟƞȣȥȧ'
        || 'ȩȫȭȯȱȳⱥȼƚⱦɂƀʉʌɇɉɋɍɏͱͳͷϳάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋϗϙϛϝ'
        || 'ϟϡϣϥϧϩϫϭϯθϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъы'
        || 'ьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗ'
        || 'әӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯḁḃḅḇḉḋḍḏḑḓḕḗḙḛḝḟ'
        || 'ḡḣḥḧḩḫḭḯḱḳḵḷḹḻḽḿṁṃṅṇṉṋṍṏṑṓṕṗṙṛṝṟṡṣṥṧṩṫṭṯṱṳṵṷṹṻṽṿẁẃẅẇẉẋẍẏẑẓẕß'
        || 'ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹỻỽỿ')
END;

-- The baseline: one row per PFA record of PEMS. `data` is the truth, every other value column is
-- generated from it. A row's version rises only when its data changed.
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
    monthly_rate          numeric GENERATED ALWAYS AS ((data ->> 'monthlyRate')::numeric) STORED,
    purchase_price        numeric GENERATED ALWAYS AS ((data ->> 'purchasePrice')::numeric) STORED,
    is_actualized         boolean GENERATED ALWAYS AS (coalesce((data ->> 'isActualized')::boolean, false)) STORED,
    is_discontinued       boolean GENERATED ALWAYS AS (coalesce((data ->> 'isDiscontinued')::boolean, false)) STORED,
    is_funds_transferable boolean GENERATED ALWAYS AS (coalesce((data ->> 'isFundsTransferable')::boolean, false)) STORED,
    plan_days             integer GENERATED ALWAYS AS (pfa_days(data ->> 'originalStart', data ->> 'originalEnd')) STORED,
    forecast_days         integer GENERATED ALWAYS AS (pfa_days(data ->> 'forecastStart', data ->> 'forecastEnd')) STORED,
    actual_days           integer GENERATED ALWAYS AS (pfa_days(data ->> 'actualStart', data ->> 'actualEnd')) STORED,
    has_actuals           boolean GENERATED ALWAYS AS
        (data ->> 'actualStart' IS NOT NULL AND data ->> 'actualEnd' IS NOT NULL) STORED,
    search_text           text COLLATE "C" GENERATED ALWAYS AS (pfa_fold(
        pfa_id || E'\n' || coalesce(data ->> 'category', '') || E'\n' || coalesce(data ->> 'class', '')
        || E'\n' || coalesce(data ->> 'manufacturer', '') || E'\n' || coalesce(data ->> 'model', '')
        || E'\n' || coalesce(data ->> 'contract', '') || E'\n' || coalesce(data ->> 'equipment', '')
        || E'\n' || coalesce(data ->> 'description', ''))) STORED,
    PRIMARY KEY (organization_id, pfa_id)
);
-- The default order of every list, and the same within a category.
CREATE INDEX pfa_mirror_forecast_start ON pfa_mirror (organization_id, forecast_start, pfa_id);
CREATE INDEX pfa_mirror_category
    ON pfa_mirror (organization_id, category, forecast_start, pfa_id);

-- What a mirror row held before it changed: the outgoing version, never the present one.
CREATE TABLE pfa_mirror_history (
    organization_id text COLLATE "C" NOT NULL,
    pfa_id          text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    data            jsonb NOT NULL,
    replaced_by_run uuid NOT NULL,
    replaced_at     timestamptz NOT NULL,
    PRIMARY KEY (organization_id, pfa_id, version)
);

-- One user's changed fields over one mirror row, from the first save until PEMS has them.
--   draft       put there by save or uncommit; leaves by commit or discard
--   committed   put there by commit, resolve or recover; leaves by claim, uncommit or dispute
--   syncing     claimed by a pusher; a crash leaves it here until its lease expires
--   synced      PEMS has it and the mirror too: it overlays nothing any more
--   sync_error  refused or unreachable; due again at next_attempt_at, or final when that is null
--   conflict    PEMS holds another value; waits for a person
-- base holds the mirror's value of each field of the delta when that field was first drafted.
CREATE TABLE pfa_modification (
    organization_id text COLLATE "C" NOT NULL,
    modification_id uuid NOT NULL,
    pfa_id          text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    session_id      text COLLATE "C" NOT NULL CHECK (session_id <> ''),
    state           text NOT NULL
        CHECK (state IN ('draft', 'committed', 'syncing', 'synced', 'sync_error', 'conflict')),
    delta           jsonb NOT NULL CHECK (jsonb_typeof(delta) = 'object' AND delta <> '{}'),
    base            jsonb NOT NULL CHECK (jsonb_typeof(base) = 'object'),
    base_version    integer NOT NULL,
    version         integer NOT NULL CHECK (version > 0),
    change_reason   text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    committed_at    timestamptz,
    claim_id        uuid,
    claimed_until   timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    sync_error      text,
    synced_at       timestamptz,
    PRIMARY KEY (organization_id, modification_id),
    CHECK ((state = 'draft') = (committed_at IS NULL)),
    CHECK ((state = 'syncing') = (claim_id IS NOT NULL))
);
-- At most one draft per record and user, whatever the sessions.
CREATE UNIQUE INDEX pfa_modification_one_draft
    ON pfa_modification (organization_id, pfa_id, user_id) WHERE state = 'draft';
CREATE INDEX pfa_modification_live
    ON pfa_modification (organization_id, user_id, pfa_id) WHERE state <> 'synced';
CREATE INDEX pfa_modification_session
    ON pfa_modification (organization_id, user_id, session_id, state);

-- One row per record that one user has changed: the stacked delta and the merged record, with the
-- same generated columns as the mirror, so that a filter means the same on both. Kept by every
-- transaction that changes a modification or its mirror row; state, session and version are those
-- of the topmost modification.
CREATE TABLE pfa_overlay (
    organization_id       text COLLATE "C" NOT NULL,
    user_id               text COLLATE "C" NOT NULL,
    pfa_id                text COLLATE "C" NOT NULL,
    delta                 jsonb NOT NULL,
    data                  jsonb NOT NULL,
    modification_id       uuid NOT NULL,
    state                 text NOT NULL,
    session_id            text COLLATE "C" NOT NULL,
    version               integer NOT NULL,
    modified_at           timestamptz NOT NULL,
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
    monthly_rate          numeric GENERATED ALWAYS AS ((data ->> 'monthlyRate')::numeric) STORED,
    purchase_price        numeric GENERATED ALWAYS AS ((data ->> 'purchasePrice')::numeric) STORED,
    is_actualized         boolean GENERATED ALWAYS AS (coalesce((data ->> 'isActualized')::boolean, false)) STORED,
    is_discontinued       boolean GENERATED ALWAYS AS (coalesce((data ->> 'isDiscontinued')::boolean, false)) STORED,
    is_funds_transferable boolean GENERATED ALWAYS AS (coalesce((data ->> 'isFundsTransferable')::boolean, false)) STORED,
    plan_days             integer GENERATED ALWAYS AS (pfa_days(data ->> 'originalStart', data ->> 'originalEnd')) STORED,
    forecast_days         integer GENERATED ALWAYS AS (pfa_days(data ->> 'forecastStart', data ->> 'forecastEnd')) STORED,
    actual_days           integer GENERATED ALWAYS AS (pfa_days(data ->> 'actualStart', data ->> 'actualEnd')) STORED,
    has_actuals           boolean GENERATED ALWAYS AS
        (data ->> 'actualStart' IS NOT NULL AND data ->> 'actualEnd' IS NOT NULL) STORED,
    search_text           text COLLATE "C" GENERATED ALWAYS AS (pfa_fold(
        pfa_id || E'\n' || coalesce(data ->> 'category', '') || E'\n' || coalesce(data ->> 'class', '')
        || E'\n' || coalesce(data ->> 'manufacturer', '') || E'\n' || coalesce(data ->> 'model', '')
        || E'\n' || coalesce(data ->> 'contract', '') || E'\n' || coalesce(data ->> 'equipment', '')
        || E'\n' || coalesce(data ->> 'description', ''))) STORED,
    PRIMARY KEY (organization_id, user_id, pfa_id)
);
CREATE INDEX pfa_overlay_forecast_start
    ON pfa_overlay (organization_id, user_id, forecast_start, pfa_id);
CREATE INDEX pfa_overlay_category
    ON pfa_overlay (organization_id, user_id, category, forecast_start, pfa_id);
CREATE INDEX pfa_overlay_record ON pfa_overlay (organization_id, pfa_id);

-- The mirror's sums by every dimension that KPIs are asked by; money before division by the days
-- of a month. Kept by the transactions that change the mirror.
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
    PRIMARY KEY (organization_id, category, class, source, dor, area_silo,
                 is_actualized, is_discontinued, is_funds_transferable)
);

-- Runs: one execution of pull (read) or push (write).
CREATE TABLE pfa_sync_log (
    organization_id text COLLATE "C" NOT NULL,
    run_id          uuid NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('pull', 'push')),
    source          text NOT NULL,
    status          text NOT NULL CHECK (status IN ('running', 'completed', 'partial', 'failed')),
    user_id         text NOT NULL,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    counts          jsonb NOT NULL DEFAULT '{}',
    message         text,
    PRIMARY KEY (organization_id, run_id)
);
CREATE INDEX pfa_sync_log_recent ON pfa_sync_log (organization_id, direction, started_at DESC);

-- What a run did with single records that need a person's eye: rejected, failed, in conflict.
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
    PRIMARY KEY (organization_id, run_id, outcome_id)
);

-- A commitment that PEMS moved under: for each field base, mine and theirs.
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
    PRIMARY KEY (organization_id, conflict_id)
);
CREATE UNIQUE INDEX pfa_sync_conflict_one_open
    ON pfa_sync_conflict (organization_id, modification_id) WHERE status = 'unresolved';

-- Who changed what, when and why; written by the transaction that changes the data.
CREATE TABLE audit_log (
    organization_id text COLLATE "C" NOT NULL,
    entry_id        uuid NOT NULL,
    at              timestamptz NOT NULL,
    user_id         text NOT NULL,
    action          text NOT NULL,
    pfa_id          text COLLATE "C",
    modification_id uuid,
    session_id      text COLLATE "C",
    run_id          uuid,
    before          jsonb,
    after           jsonb,
    reason          text,
    PRIMARY KEY (organization_id, entry_id)
);
CREATE INDEX audit_log_record ON audit_log (organization_id, pfa_id, entry_id);
CREATE INDEX audit_log_session ON audit_log (organization_id, session_id, entry_id);

-- One run at a time per organization and direction, by the database's clock.
CREATE TABLE pfa_lease (
    organization_id text COLLATE "C" NOT NULL,
    name            text NOT NULL,
    owner_id        uuid NOT NULL,
    owner           text NOT NULL,
    acquired_at     timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, name)
);
