-- What gathers goes out one by one.
UPDATE noti.notifications_log SET status = 'pending' WHERE digest_key IS NOT NULL AND finished_at IS NULL AND held_at IS NOT NULL AND status = 'gathering';
DELETE FROM noti.rights WHERE object IN ('close_digests', 'next_local', 'gathers_until') OR columns = '{digest_key}';
DROP TRIGGER notifications_log_parked ON noti.notifications_log;
DROP FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text, text,
  text, jsonb, jsonb, text, int, text);
