-- From now on (or no more) whoever listens to noti.inbox_channel hears of a new message and of what was marked. For the administrator.
CREATE OR REPLACE FUNCTION noti.notify_inbox(wanted boolean) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF wanted IS NULL THEN
    RAISE EXCEPTION 'noti: say true or false.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF wanted THEN
    ALTER TABLE noti.inbox ENABLE TRIGGER inbox_came;
    ALTER TABLE noti.inbox ENABLE TRIGGER inbox_marked;
  ELSE
    ALTER TABLE noti.inbox DISABLE TRIGGER inbox_came;
    ALTER TABLE noti.inbox DISABLE TRIGGER inbox_marked;
  END IF;
END $$;
