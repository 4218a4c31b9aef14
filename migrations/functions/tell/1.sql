-- Note an event, if an endpoint of the tenant wants to hear of it. What tells of events makes none.
CREATE OR REPLACE FUNCTION noti.tell(id bigint, tenant text, channel text, category text, event text, source text) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  INSERT INTO noti.events (tenant_id, notification_id, channel, event, source)
  SELECT tenant, id, channel, event, source
   WHERE coalesce(category, '') NOT LIKE 'noti.%'
     AND EXISTS (SELECT FROM noti.endpoints e
                  WHERE e.tenant_id = tenant AND e.state <> 'disabled' AND (e.events = '{}' OR event = ANY (e.events))
                    AND (e.channels = '{}' OR channel = ANY (e.channels)));
END $$;
