-- Settings of a session, whatever the environment, the role and the database set.

-- name: settings
-- search_path is not among them: a role's may name the schema that has pfa's tables.
SET datestyle = 'ISO, MDY';
SET intervalstyle = postgres;
SET timezone = 'UTC';
SET extra_float_digits = 1;
SET bytea_output = hex;
-- Off, a NULL in an array of texts would be the text NULL.
SET array_nulls = on;
SET standard_conforming_strings = on;
SET transform_null_equals = off;
-- Above 0, a search by index returns only some of what it finds.
SET gin_fuzzy_search_limit = 0;
-- Off, a statement that policies restrict fails.
SET row_security = on;
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET geqo = on;
SET jit = off;
-- A page of ten thousand records is sorted in memory, not on disk.
SET work_mem = '32MB';
SET statement_timeout = 0;
-- A reader of an export may be slow, and a pull waits for PEMS.
SET idle_in_transaction_session_timeout = 0;
SET idle_session_timeout = 0;
-- A statement looks every three seconds whether its client is still there, else one that was killed goes on to its end.
-- A server whose system cannot tell refuses any value but 0.
DO $$ BEGIN
    SET client_connection_check_interval = '3s';
EXCEPTION WHEN invalid_parameter_value THEN NULL;
END $$;

-- name: lock_timeout
-- In milliseconds.
SET lock_timeout = {limit};

-- name: settings_since_17
SET transaction_timeout = 0;
