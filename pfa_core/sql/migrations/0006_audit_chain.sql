-- The audit trail as a chain. The entries of one transaction are one link; a link's digest is made of
-- the digest before it, its number and the digest of its entries, so that nobody can take out, change or
-- add one without breaking the chain from there on. store/chain.py appends and checks it; the expressions
-- below must stay those of chain.sql, or what is taken in here would not verify.

-- The link of an entry, named by the first entry of its transaction. Entries older than the chain make
-- one link of their own, without a name; the default writes no row anew and is gone at the end.
ALTER TABLE audit_log
    ADD COLUMN link_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';

-- Compared from now on, by its index: in code-point order as every such text. No row is written anew.
ALTER TABLE audit_log ALTER COLUMN user_id TYPE text COLLATE "C";

-- The entries of a link. Equal keys share their place: ten thousand entries of one transaction cost
-- little more than one.
CREATE INDEX audit_log_link ON audit_log (organization_id, link_id);
-- By time, and by user and time; what one action wrote is of one instant and shares its place too.
CREATE INDEX audit_log_at ON audit_log (organization_id, at);
CREATE INDEX audit_log_user ON audit_log (organization_id, user_id, at);
CREATE INDEX audit_log_run ON audit_log (organization_id, run_id) WHERE run_id IS NOT NULL;
-- How often somebody was refused lately: so much is written down and no more.
CREATE INDEX audit_log_denied ON audit_log (organization_id, at)
    WHERE action IN ('permission_denied', 'sync_skipped');

-- One row per transaction that wrote entries. number counts from 1 without a gap, in the order in which
-- the transactions ended; at is the database's clock just before.
--   content  sha256 of the entries' digests, in the order of their ids
--   digest   sha256 of the digest before, the number, and what the other columns say
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
CREATE UNIQUE INDEX audit_link_id ON audit_link (organization_id, link_id);

-- The end of each organization's chain: its one row is where writers take turns, the last thing that
-- each of them does.
CREATE TABLE audit_head (
    organization_id text COLLATE "C" PRIMARY KEY,
    number          bigint NOT NULL,
    digest          bytea NOT NULL
) WITH (fillfactor = 50);

INSERT INTO audit_link (organization_id, number, link_id, entry_count, at, content, digest)
SELECT o.organization_id, 1, o.link_id, o.entry_count, o.at, o.content,
       sha256(int8send(1) || sha256(
           convert_to(ROW(o.organization_id, o.link_id, o.entry_count,
                           extract(epoch FROM o.at))::text, 'UTF8') || o.content))
FROM (
    SELECT e.organization_id, e.link_id, count(*)::integer AS entry_count, max(e.at) AS at,
           sha256(string_agg(
               sha256(convert_to(ROW(
                   e.organization_id, e.entry_id, extract(epoch FROM e.at), e.user_id, e.action,
                   e.pfa_id, e.modification_id, e.session_id, e.run_id, e.before, e.after, e.reason,
                   e.link_id)::text, 'UTF8')),
               ''::bytea ORDER BY e.entry_id)) AS content
    FROM audit_log AS e
    GROUP BY e.organization_id, e.link_id
) AS o
ON CONFLICT (organization_id, number) DO NOTHING;

INSERT INTO audit_head (organization_id, number, digest)
SELECT l.organization_id, l.number, l.digest FROM audit_link AS l
ON CONFLICT (organization_id) DO NOTHING;

ALTER TABLE audit_log ALTER COLUMN link_id DROP DEFAULT;
