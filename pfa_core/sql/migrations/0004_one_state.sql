-- A modification's state is told in one place. The overlay kept a copy of its topmost modification's
-- state, session, version and time: every commit and every push had to write 1.5 kB a record anew to
-- change one word. Reads look the modification up by its id.
ALTER TABLE pfa_overlay
    DROP COLUMN state,
    DROP COLUMN session_id,
    DROP COLUMN version,
    DROP COLUMN modified_at;
ALTER TABLE pfa_overlay RESET (fillfactor);

-- An order by the plan's begin; small, because equal days share an entry.
CREATE INDEX pfa_mirror_original_start ON pfa_mirror (organization_id, original_start);
