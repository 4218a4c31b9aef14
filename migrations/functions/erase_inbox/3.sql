-- One step over the in-app messages: a message outlives its notification when retention is set so.
CREATE OR REPLACE FUNCTION noti.erase_inbox(who text, tenant text, after bigint, step int, dry_run boolean)
  RETURNS TABLE (last bigint, seen int, inbox int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
  found bigint[];
  bound constant boolean := NOT noti.sees_tenant(NULL);
BEGIN
  PERFORM noti.check_tenant(tenant);
  IF bound THEN
    after := greatest(after, (SELECT min(i.inbox_id) FROM noti.inbox i) - 1);
  END IF;
  SELECT CASE WHEN bound THEN (SELECT after + step WHERE after < (SELECT max(i.inbox_id) FROM noti.inbox i)) ELSE max(p.inbox_id) END, count(*),
         coalesce(array_agg(p.inbox_id) FILTER (WHERE p.recipient = who AND (tenant IS NULL OR p.tenant_id = tenant)), '{}')
    INTO last, seen, found
    FROM (SELECT i.inbox_id, i.recipient, i.tenant_id FROM noti.inbox i
           WHERE i.inbox_id > after AND (NOT bound OR i.inbox_id <= after + step AND i.tenant_id = tenant)
           ORDER BY i.inbox_id LIMIT step) AS p;
  inbox := cardinality(found);
  IF inbox > 0 AND NOT dry_run THEN
    UPDATE noti.inbox i SET recipient = '[erased]', subject = NULL, body = NULL, html = NULL WHERE i.inbox_id = ANY (found);
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
    SELECT i.tenant_id, 'inbox', i.inbox_id::text, 'inbox_erased', 'db', noti.actor() FROM noti.inbox i WHERE i.inbox_id = ANY (found);
  END IF;
  RETURN NEXT;
END $$;
