-- Make what stands in noti.templates a version, unless it is the newest one already. Without body and html: it was taken away.
CREATE OR REPLACE FUNCTION noti.keep_version(tenant_id text, template_id text, subject text, body text, html text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  last noti.template_versions;
BEGIN
  PERFORM pg_advisory_xact_lock(7700162, hashtext(keep_version.tenant_id || E'\x01' || keep_version.template_id));
  SELECT * INTO last FROM noti.template_versions t
   WHERE t.tenant_id = keep_version.tenant_id AND t.template_id = keep_version.template_id AND t.channel = '' AND t.locale = ''
   ORDER BY t.version DESC LIMIT 1;
  IF (last.subject, last.body, last.html) IS NOT DISTINCT FROM (keep_version.subject, keep_version.body, keep_version.html) THEN
    RETURN;
  END IF;
  INSERT INTO noti.template_versions (tenant_id, template_id, version, subject, body, html, published_by)
  SELECT keep_version.tenant_id, keep_version.template_id, coalesce(max(t.version), 0) + 1,
         keep_version.subject, keep_version.body, keep_version.html, noti.actor()
    FROM noti.template_versions t WHERE t.tenant_id = keep_version.tenant_id AND t.template_id = keep_version.template_id;
END $$;
