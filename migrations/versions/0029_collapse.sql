-- Who is newer with the same key to the same recipient? Only rows with a key are in it. As one number: a recipient may be 4 kB long.
CREATE INDEX notifications_log_collapse ON noti.notifications_log (
  hashtextextended(tenant_id || chr(31) || channel || chr(31) || collapse_key || chr(31) || recipient, 0), notification_id)
 WHERE collapse_key IS NOT NULL;
