INSERT INTO noti.rights (role, privilege, object, columns)
VALUES ('noti_operator', 'SELECT', 'receipts_raw', '{raw_id,account,provider,received_at,read_at,error}');
