-- One step over the kept contents, which may outlive their notification: what went to somebody, and what names them among its copies.
CREATE OR REPLACE FUNCTION noti.erase_kept(who text, tenant text, after bigint, step int, dry_run boolean)
  RETURNS TABLE (last bigint, seen int, kept int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
  found bigint[];
  bound constant boolean := NOT noti.sees_tenant(NULL);
BEGIN
  PERFORM noti.check_tenant(tenant);
  IF bound THEN
    after := greatest(after, (SELECT min(k.kept_id) FROM noti.kept_contents k) - 1);
  END IF;
  SELECT CASE WHEN bound THEN (SELECT after + step WHERE after < (SELECT max(k.kept_id) FROM noti.kept_contents k)) ELSE max(p.kept_id) END, count(*),
         coalesce(array_agg(p.kept_id) FILTER (WHERE (tenant IS NULL OR p.tenant_id = tenant)
                                                 AND noti.concerns(p.channel, p.recipient, p.options, who) IS NOT NULL), '{}')
    INTO last, seen, found
    FROM (SELECT k.kept_id, k.recipient, k.channel, k.options, k.tenant_id FROM noti.kept_contents k
           WHERE k.kept_id > after AND (NOT bound OR k.kept_id <= after + step AND k.tenant_id = tenant)
           ORDER BY k.kept_id LIMIT step) AS p;
  kept := cardinality(found);
  IF kept > 0 AND NOT dry_run THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    SELECT k.tenant_id, 'log', 'kept_contents', 'lines_erased', 'db', noti.actor(), jsonb_build_object('lines', count(*))
      FROM noti.kept_contents k WHERE k.kept_id = ANY (found) GROUP BY k.tenant_id;
    DELETE FROM noti.kept_contents k WHERE k.kept_id = ANY (found);
  END IF;
  RETURN NEXT;
END $$;
