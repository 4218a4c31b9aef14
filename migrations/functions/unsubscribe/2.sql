-- The recipient leaves a category by the link in a message, and nothing else: an opt-out. Whoever asks twice has left already. The
-- address comes from the notification while that is there and names it; else its hash is all that is kept.
CREATE OR REPLACE FUNCTION noti.unsubscribe(tenant_id text, channel text, address_hash bytea, category text, notification_id bigint)
  RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  entry bigint;
  whom  text;
BEGIN
  SELECT s.suppression_id INTO entry
    FROM noti.suppressions s
   WHERE s.address_hash = unsubscribe.address_hash AND s.tenant_id = unsubscribe.tenant_id AND s.channel = unsubscribe.channel
     AND s.category = unsubscribe.category AND s.reason = 'optout' AND s.lifted_at IS NULL AND s.expires_at IS NULL;
  IF FOUND THEN
    RETURN entry;
  END IF;
  PERFORM noti.tell(n.notification_id, n.tenant_id, n.channel, n.category, 'unsubscribed', 'person')
     FROM noti.notifications_log n
    WHERE n.notification_id = unsubscribe.notification_id AND n.tenant_id = unsubscribe.tenant_id AND EXISTS (SELECT FROM noti.endpoints);
  SELECT n.recipient INTO whom
    FROM noti.notifications_log n
   WHERE n.notification_id = unsubscribe.notification_id AND n.channel = unsubscribe.channel
     AND noti.address_hash(n.channel, n.recipient) = unsubscribe.address_hash;
  IF FOUND THEN
    RETURN noti.suppress(unsubscribe.tenant_id, unsubscribe.channel, whom, 'optout', unsubscribe.category, 'unsubscribe', unsubscribe.notification_id);
  END IF;
  INSERT INTO noti.suppressions AS s (tenant_id, channel, address_hash, category, reason, source, notification_id)
  VALUES (unsubscribe.tenant_id, unsubscribe.channel, unsubscribe.address_hash, unsubscribe.category, 'optout', 'unsubscribe', unsubscribe.notification_id)
  ON CONFLICT (address_hash, tenant_id, channel, category, reason) WHERE lifted_at IS NULL DO UPDATE
     SET hits = s.hits + 1, source = EXCLUDED.source, notification_id = EXCLUDED.notification_id, reported_at = EXCLUDED.reported_at, expires_at = NULL
  RETURNING s.suppression_id INTO entry;
  RETURN entry;
END $$;
