-- One trigger looks at each new row: with two, and what there is to look for now, PostgreSQL would read more of their WHEN for
-- each statement than the row costs.
DROP TRIGGER notifications_log_max_retries ON noti.notifications_log;
DROP TRIGGER notifications_log_odd ON noti.notifications_log;
DROP FUNCTION noti.on_unsaid_retries();
DROP FUNCTION noti.on_odd_insert();
CREATE TRIGGER notifications_log_new BEFORE INSERT ON noti.notifications_log FOR EACH ROW EXECUTE FUNCTION noti.on_new();

-- A copy with the message_id of somebody's message would make a receiver that deduplicates drop the real one.
UPDATE noti.rights SET columns = array_remove(columns, 'message_id')
 WHERE (role, privilege, object) = ('noti_app', 'INSERT', 'notifications_log');
INSERT INTO noti.rights (role, privilege, object)
SELECT role, 'EXECUTE', object
  FROM unnest(ARRAY['noti_app', 'noti_worker', 'noti_operator']) AS role, unnest(ARRAY['said', 'too_large']) AS object;
DO $$
DECLARE
  one record;
BEGIN
  IF to_regrole('noti_app') IS NOT NULL THEN
    REVOKE INSERT (message_id) ON noti.notifications_log FROM noti_app;
  END IF;
  -- The trigger asks them as whoever inserts, as the CHECK asks noti.fault.
  FOR one IN
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.fault(noti.notifications_log)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION noti.said, noti.too_large TO %s', one.grantee);
  END LOOP;
END $$;
