-- TRUNCATE is refused while rows wait or are being sent: it asks no row trigger.
CREATE OR REPLACE FUNCTION noti.on_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM noti.notifications_log WHERE finished_at IS NULL AND held_at IS NULL)
     OR EXISTS (SELECT 1 FROM noti.notifications_log WHERE held_at IS NOT NULL) THEN
    RAISE EXCEPTION 'noti: there are unfinished notifications, and the table cannot be truncated. Cancel them first.'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
