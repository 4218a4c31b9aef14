DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'noti_operator') THEN
    REVOKE SELECT (raw_id, account, provider, received_at, read_at, error) ON noti.receipts_raw FROM noti_operator;
  END IF;
END $$;
DELETE FROM noti.rights WHERE role = 'noti_operator' AND privilege = 'SELECT' AND object = 'receipts_raw';
