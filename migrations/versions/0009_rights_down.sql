DELETE FROM noti.rights
 WHERE object IN ('closures', 'circuits', 'closed_by', 'closure_words', 'open_circuit', 'close_circuit', 'take_probes', 'end_probe',
                  'hasten_probes')
    OR (role, object) = ('noti_worker', 'actor');
INSERT INTO noti.rights (role, privilege, object)
SELECT role, 'EXECUTE', 'pause_words' FROM unnest(ARRAY['noti_app', 'noti_worker', 'noti_operator', 'noti_readonly']) AS role;
DO $$
BEGIN
  IF to_regrole('noti_worker') IS NOT NULL THEN
    REVOKE EXECUTE ON FUNCTION noti.actor FROM noti_worker;
  END IF;
END $$;
