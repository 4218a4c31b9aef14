-- Let an endpoint go back: everything since then that it wants is told to it again, in order, and then what comes. Gives how many that are,
-- NULL when there is no such endpoint. What is on its way to it is waited for.
CREATE OR REPLACE FUNCTION noti.recover_endpoint(tenant text, endpoint text, since timestamptz) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  e     noti.endpoints;
  first bigint;
  many  bigint;
BEGIN
  PERFORM noti.check_tenant(recover_endpoint.tenant);
  SELECT p.* INTO e FROM noti.endpoints p
   WHERE p.tenant_id = recover_endpoint.tenant AND p.name = recover_endpoint.endpoint FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT count(*), min(v.place) INTO many, first
    FROM noti.events v
   WHERE v.tenant_id = e.tenant_id AND v.place IS NOT NULL AND v.at >= since
     AND (e.events = '{}' OR v.event = ANY (e.events)) AND (e.channels = '{}' OR v.channel = ANY (e.channels));
  IF many > 0 THEN
    INSERT INTO noti.envelopes (endpoint_id, notification_id, after_place, last_place)
    SELECT e.endpoint_id, v.notification_id, least(first - 1, v.last_place), least(first - 1, v.last_place)
      FROM noti.envelopes v WHERE v.endpoint_id = e.endpoint_id ORDER BY v.envelope_id DESC LIMIT 1;
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    VALUES (e.tenant_id, 'endpoint', e.endpoint_id::text, 'endpoint_recovered', 'db', noti.actor(),
            jsonb_build_object('name', e.name, 'since', since, 'events', many));
  END IF;
  RETURN many;
END $$;
