-- AFTER INSERT and AFTER UPDATE, per statement: whose inboxes changed. Disabled until noti.notify_inbox; silent while the server's queue
-- of notifications is half full, since a full one refuses commits.
CREATE OR REPLACE FUNCTION noti.on_inbox() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify(noti.inbox_channel(c.recipient, c.tenant_id), '') FROM (SELECT DISTINCT recipient, tenant_id FROM changed) AS c;
  END IF;
  RETURN NULL;
END $$;
