-- What the server and the database must be.
DO $$
BEGIN
  IF current_setting('server_version_num')::int < 150000 THEN
    RAISE EXCEPTION 'noti-worker needs PostgreSQL 15 or newer, and this server is %. Upgrade the server first.',
      current_setting('server_version') USING ERRCODE = 'feature_not_supported';
  END IF;
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'noti-worker needs a database in UTF8, and this one is in %. Create one with ENCODING ''UTF8'' TEMPLATE template0.',
      current_setting('server_encoding') USING ERRCODE = 'feature_not_supported';
  END IF;
END $$;
