-- Delete what is known of a person: of user:ID every address and every choice, of an address the contacts that have it.
CREATE OR REPLACE FUNCTION noti.erase_contacts(who text, tenant text, dry_run boolean) RETURNS TABLE (contacts int, choices int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  person constant text := substring(who FROM '^user:(.+)$');
  -- whatever the channel: phone numbers have one form, e-mail addresses another, and tokens stay as they are
  hashes constant bytea[] := ARRAY[noti.address_hash('sms', who), noti.address_hash('email', who), noti.address_hash('push', who)];
  found  bigint[];
BEGIN
  PERFORM noti.check_tenant(tenant);
  found := ARRAY(SELECT c.contact_id FROM noti.contacts c
                  WHERE (c.user_ref = person OR c.address_hash = ANY (hashes)) AND (tenant IS NULL OR c.tenant_id = tenant)
                  ORDER BY c.contact_id FOR UPDATE);
  contacts := cardinality(found);
  IF dry_run THEN
    choices := (SELECT count(*) FROM noti.preferences p WHERE p.user_ref = person AND (tenant IS NULL OR p.tenant_id = tenant));
    RETURN NEXT;
    RETURN;
  END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
  SELECT c.tenant_id, 'contact', c.contact_id::text, 'contact_erased', 'db', noti.actor() FROM noti.contacts c WHERE c.contact_id = ANY (found);
  DELETE FROM noti.contacts c WHERE c.contact_id = ANY (found);
  DELETE FROM noti.preferences p WHERE p.user_ref = person AND (tenant IS NULL OR p.tenant_id = tenant);
  GET DIAGNOSTICS choices = ROW_COUNT;
  RETURN NEXT;
END $$;
