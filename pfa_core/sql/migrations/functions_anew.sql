-- The functions that write, made anew: what a migration has in place of its line that asks for them.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc AS p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'pfa\_do\_%' LOOP
        EXECUTE format('DROP FUNCTION %s', one);
    END LOOP;
END $$;

-- The functions that write go here.

DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc AS p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.proname LIKE 'pfa\_do\_%' LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', one, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pfa_app', one);
    END LOOP;
END $$;
