-- At which address a person was reached by a try, as much of it as tells it from others; NULL where the row names the address itself.
-- What a provider answered is not for everybody to read, this is: to whoever may see the tenant.
CREATE OR REPLACE FUNCTION noti.reached(id bigint, try bigint) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  n     record;
  shown text;
BEGIN
  SELECT l.tenant_id, l.channel INTO n FROM noti.notifications_log l
   WHERE l.notification_id = reached.id AND l.recipient LIKE 'user:%' AND l.channel <> 'in_app';
  IF NOT FOUND OR NOT noti.sees_tenant(n.tenant_id) THEN
    RETURN NULL;
  END IF;
  SELECT t.response_data ->> 'address' INTO shown FROM noti.notification_attempts_log t
   WHERE t.notification_id = reached.id AND t.log_id = try;
  RETURN CASE WHEN n.channel = 'email' THEN left(shown, 1) || '…' || coalesce(substring(shown FROM '@[^@>]*'), '')
              WHEN n.channel IN ('sms', 'voice', 'whatsapp') THEN left(shown, 3) || '…' || right(shown, 2)
              WHEN n.channel = 'webhook' THEN coalesce(noti.destination(n.channel, shown), '…')
              WHEN char_length(shown) < 16 THEN left(shown, 2) || '…'
              ELSE left(shown, 6) || '…' || right(shown, 4) END;
END $$;
