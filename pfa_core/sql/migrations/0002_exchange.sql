-- The exchange with PEMS: what a push must remember to send every commitment exactly once, what a
-- pull must remember to go on where it was cut off, and who is at work.

-- The version that PEMS is known to hold of the record as the mirror has it; null: not known, so a
-- write has to read the record first.
ALTER TABLE pfa_mirror ADD COLUMN pems_revision text;

-- Records that a complete pull did not bring; they are found when they come again.
CREATE INDEX pfa_mirror_missing ON pfa_mirror (organization_id, pfa_id)
    WHERE missing_since IS NOT NULL;

-- A write is known to PEMS by the key (modification_id, version, generation). sent_version is the
-- version of PEMS on which it was last sent under that key, put down before it is sent; null:
-- nothing is under way. A crash leaves it here, and reading the record back decides.
--   generation        raised when a key is used up: PEMS refused it and the change is sent anew
--   failures          troubles on the ladder of retries; claims are counted in attempts
--   first_attempt_at  where the time begins in which retries are worth it
ALTER TABLE pfa_modification
    ADD COLUMN generation integer NOT NULL DEFAULT 0,
    ADD COLUMN sent_version text,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN first_attempt_at timestamptz;

-- What a push sends next: the oldest commitments first.
CREATE INDEX pfa_modification_queue
    ON pfa_modification (organization_id, committed_at, modification_id)
    WHERE state IN ('committed', 'sync_error');
-- Is there an earlier commitment on the record, or one on its way?
CREATE INDEX pfa_modification_order
    ON pfa_modification (organization_id, pfa_id, committed_at, modification_id)
    WHERE state IN ('committed', 'syncing', 'sync_error', 'conflict');
-- What a pusher holds; small at any time.
CREATE INDEX pfa_modification_claimed ON pfa_modification (organization_id, modification_id)
    WHERE state = 'syncing';

-- kind: full, incremental, or since a time that somebody named. since: from when on a pull looks; of a full one that went on
-- where others were cut off, when the first of these began.
ALTER TABLE pfa_sync_log
    ADD COLUMN kind text NOT NULL DEFAULT 'full',
    ADD COLUMN since timestamptz;

-- Every attempt of every record has an outcome; attempt counts from 1, null where none was made.
ALTER TABLE pfa_sync_outcome ADD COLUMN attempt integer;

-- What a conflict ended with, field by field: mine, pems or the value that was set.
ALTER TABLE pfa_sync_conflict ADD COLUMN settlement jsonb;
CREATE INDEX pfa_sync_conflict_recent
    ON pfa_sync_conflict (organization_id, user_id, created_at DESC);

-- Who is at work, and since when we have not heard of them.
ALTER TABLE pfa_lease
    ADD COLUMN host text NOT NULL DEFAULT '',
    ADD COLUMN pid integer NOT NULL DEFAULT 0,
    ADD COLUMN heartbeat_at timestamptz;

-- The pages that a full pull has brought so far: which records it saw, so that a pull that was cut
-- off goes on behind them, and a complete one knows what is missing. Gone when the pull is complete.
CREATE TABLE pfa_pull_page (
    organization_id text COLLATE "C" NOT NULL,
    run_id          uuid NOT NULL,
    row_offset      integer NOT NULL,
    row_count       integer NOT NULL,
    last_id         text NOT NULL,
    ids             text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, run_id, row_offset)
);

-- Room in each page, so that a change of state rewrites a row in place and no index of it.
ALTER TABLE pfa_overlay SET (fillfactor = 80);
