-- BEFORE DELETE of a row that is not finished.
CREATE OR REPLACE FUNCTION noti.on_unfinished_delete() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'noti: notification %: it is not finished and cannot be deleted. Cancel it instead, or add AND finished_at IS NOT NULL to the DELETE.', OLD.notification_id
    USING ERRCODE = 'check_violation';
END $$;
