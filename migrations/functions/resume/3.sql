-- End a pause, named as it was paused; true when there was one. Others that close the same rows stay.
CREATE OR REPLACE FUNCTION noti.resume(scope text, name text DEFAULT NULL, resumed_by text DEFAULT NULL, tenant text DEFAULT NULL)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  of    text := coalesce(resume.tenant, '');
  ended boolean;
BEGIN
  PERFORM noti.check_tenant(CASE WHEN of <> '' THEN of WHEN resume.scope = 'tenant' THEN resume.name END);
  PERFORM set_config('noti.person', coalesce(resume.resumed_by, ''), true);
  DELETE FROM noti.pauses p
   WHERE p.scope = CASE WHEN of = '' THEN '' ELSE 'tenant ' END || resume.scope AND p.name = coalesce(resume.name, '') AND p.tenant_id = of
  RETURNING p.until IS NULL OR p.until > clock_timestamp() INTO ended;
  PERFORM set_config('noti.person', '', true);
  RETURN coalesce(ended, false);
END $$;
