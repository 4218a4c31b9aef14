-- Queue a test event for an endpoint, whatever its state is; gives its notification.
CREATE OR REPLACE FUNCTION noti.test_endpoint(tenant text, endpoint text) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  e  noti.endpoints;
  id bigint;
BEGIN
  PERFORM noti.check_tenant(test_endpoint.tenant);
  SELECT p.* INTO e FROM noti.endpoints p WHERE p.tenant_id = test_endpoint.tenant AND p.name = test_endpoint.endpoint;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  INSERT INTO noti.notifications_log (tenant_id, channel, recipient, body, provider, category, entity_type, entity_id, priority, max_retries)
  VALUES (e.tenant_id, 'webhook', e.url,
          json_build_object('type', 'noti.test', 'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                            'endpoint', e.name, 'tenant', e.tenant_id, 'events', '[]'::json)::text,
          e.account, 'noti.event', 'endpoint', e.name, 'urgent', 0)
  RETURNING notification_id INTO id;
  RETURN id;
END $$;
