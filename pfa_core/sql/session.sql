-- Settings of a session, whatever the environment, the role and the database set.

-- name: settings
-- For the session, or with {local} true for the transaction. No row: the server's session is not that of {pid}, since a
-- pooler lies between; then nothing is set.
-- search_path is not among them: a role's may name the schema that has pfa's tables.
-- First, without a look at the catalogs, what a role's limit of a millisecond would end; for the statements that are sent
-- together, or the transaction.
SET LOCAL statement_timeout = 0;
SELECT set_config(s.name, s.value, {local})
FROM (VALUES
    ('datestyle', 'ISO, MDY'),
    ('intervalstyle', 'postgres'),
    ('timezone', 'UTC'),
    ('extra_float_digits', '1'),
    ('bytea_output', 'hex'),
    -- Off, a NULL in an array of texts would be the text NULL.
    ('array_nulls', 'on'),
    ('standard_conforming_strings', 'on'),
    ('transform_null_equals', 'off'),
    -- Above 0, a search by index returns only some of what it finds.
    ('gin_fuzzy_search_limit', '0'),
    -- Off, a statement that policies restrict fails.
    ('row_security', 'on'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_read_only', 'off'),
    ('geqo', 'on'),
    ('jit', 'off'),
    -- A page of ten thousand records is sorted in memory, not on disk.
    ('work_mem', '32MB'),
    ('statement_timeout', '0'),
    -- A reader of an export may be slow, and a pull waits for PEMS.
    ('idle_in_transaction_session_timeout', '0'),
    ('idle_session_timeout', '0'),
    -- In milliseconds.
    ('lock_timeout', '{lock}'),
    {more}
    -- What a verified token leaves behind ends with what is set here.
    ('pfa.session', CASE WHEN {local} THEN 'transaction' ELSE 'own' END)
) AS s (name, value)
WHERE pg_backend_pid() = {pid};

-- name: since_17
('transaction_timeout', '0'),

-- name: check
-- A statement looks every three seconds whether its client is still there, else one that was killed goes on to its end.
-- A server whose system cannot tell refuses any value but 0.
DO $$ BEGIN
    IF pg_backend_pid() = {pid} THEN
        PERFORM set_config('client_connection_check_interval', '3s', {local});
    END IF;
EXCEPTION WHEN invalid_parameter_value THEN NULL;
END $$;
