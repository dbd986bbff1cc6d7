-- The collation by which texts are compared where case does not count (api/stores/folded.ts): Unicode's rules, whatever
-- the database's locale, which may know A to Z alone. PostgreSQL 17 and newer bring it; an older server takes ICU's.
DO $$
BEGIN
  IF current_setting('server_version_num')::integer >= 170000 THEN
    CREATE COLLATION folding (provider = builtin, locale = 'C.UTF-8');
  ELSE
    CREATE COLLATION folding (provider = icu, locale = 'und');
  END IF;
END
$$;
