-- Take an address out of the suppression list, and what is said of it; its hash stays, and goes on to keep messages from it. When
-- somebody last wrote is forgotten. Gives how many entries that were.
CREATE OR REPLACE FUNCTION noti.erase_suppressions(who text, tenant text, dry_run boolean) RETURNS int
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  -- whatever the channel: phone numbers have one form, e-mail addresses another, and tokens stay as they are
  theirs constant text[] := ARRAY[noti.normal_address('sms', who), noti.normal_address('email', who), noti.normal_address('push', who)];
  hits int;
BEGIN
  PERFORM noti.check_tenant(tenant);
  IF dry_run THEN
    RETURN (SELECT count(*) FROM noti.suppressions s
             WHERE (tenant IS NULL OR s.tenant_id = tenant) AND s.address = ANY (theirs));
  END IF;
  WITH erased AS (
    UPDATE noti.suppressions s
       SET address = CASE WHEN s.address = ANY (theirs) THEN NULL ELSE s.address END,
           note = CASE WHEN s.address = ANY (theirs) THEN NULL ELSE noti.unnamed(s.note, who, false, '[erased]') END,
           requested_by = noti.unnamed(s.requested_by, who, false, '[erased]')
     WHERE (tenant IS NULL OR s.tenant_id = tenant)
       AND (s.address = ANY (theirs) OR s.note <> noti.unnamed(s.note, who, false, '[erased]')
            OR s.requested_by <> noti.unnamed(s.requested_by, who, false, '[erased]'))
    RETURNING s.suppression_id, s.tenant_id)
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
  SELECT CASE WHEN e.tenant_id = '' THEN 'default' ELSE e.tenant_id END, 'suppression', e.suppression_id::text, 'suppression_erased', 'db', noti.actor()
    FROM erased e;
  GET DIAGNOSTICS hits = ROW_COUNT;
  DELETE FROM noti.replies r WHERE r.address_hash = noti.address_hash('sms', who) AND (tenant IS NULL OR r.tenant_id = tenant);
  RETURN hits;
END $$;
