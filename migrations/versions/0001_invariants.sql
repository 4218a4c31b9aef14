-- What must always be true; one row per violation, none when clean.
CREATE FUNCTION noti.assert_invariants() RETURNS TABLE (invariant text, notification_id bigint, detail text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'inserted without audit line', n.notification_id, n.created_at::text FROM noti.notifications_log n
   WHERE NOT EXISTS (SELECT 1 FROM noti.audit_log a
                      WHERE a.entity_type = 'notification' AND a.entity_id = n.notification_id::text AND a.action = 'notification_triggered')
$$;
