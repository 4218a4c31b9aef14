-- End a pause; true when there was one. Others that close the same rows stay.
CREATE OR REPLACE FUNCTION noti.resume(scope text, name text DEFAULT NULL, resumed_by text DEFAULT NULL)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  ended boolean;
BEGIN
  PERFORM set_config('noti.person', coalesce(resume.resumed_by, ''), true);
  DELETE FROM noti.pauses p WHERE p.scope = resume.scope AND p.name = coalesce(resume.name, '')
  RETURNING p.until IS NULL OR p.until > clock_timestamp() INTO ended;
  PERFORM set_config('noti.person', '', true);
  RETURN coalesce(ended, false);
END $$;
