-- Delete what is known of a person: of user:ID every address and every choice, of an address the contacts that have it.
CREATE OR REPLACE FUNCTION noti.erase_contacts(who text, tenant text, dry_run boolean) RETURNS TABLE (contacts int, choices int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  person constant text := substring(who FROM '^user:(.+)$');
  -- whatever the channel: phone numbers have one form, e-mail addresses another, and tokens stay as they are
  hashes constant bytea[] := ARRAY[noti.address_hash('sms', who), noti.address_hash('email', who), noti.address_hash('push', who)];
BEGIN
  PERFORM noti.check_tenant(tenant);
  IF dry_run THEN
    contacts := (SELECT count(*) FROM noti.contacts c
                  WHERE (c.user_ref = person OR c.address_hash = ANY (hashes)) AND (tenant IS NULL OR c.tenant_id = tenant));
    choices := (SELECT count(*) FROM noti.preferences p WHERE p.user_ref = person AND (tenant IS NULL OR p.tenant_id = tenant));
    RETURN NEXT;
    RETURN;
  END IF;
  WITH gone AS (
    DELETE FROM noti.contacts c
     WHERE (c.user_ref = person OR c.address_hash = ANY (hashes)) AND (tenant IS NULL OR c.tenant_id = tenant)
    RETURNING c.contact_id, c.tenant_id)
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
  SELECT g.tenant_id, 'contact', g.contact_id::text, 'contact_erased', 'db', noti.actor() FROM gone g;
  GET DIAGNOSTICS contacts = ROW_COUNT;
  DELETE FROM noti.preferences p WHERE p.user_ref = person AND (tenant IS NULL OR p.tenant_id = tenant);
  GET DIAGNOSTICS choices = ROW_COUNT;
  -- What was chosen and when stays, whose it was goes.
  PERFORM set_config('noti.erasing', 'on', true);
  UPDATE noti.audit_log a SET entity_id = '[erased]'
   WHERE a.entity_type = 'user' AND a.entity_id = person AND (tenant IS NULL OR a.tenant_id = tenant);
  PERFORM set_config('noti.erasing', '', true);
  RETURN NEXT;
END $$;
