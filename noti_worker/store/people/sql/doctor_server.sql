-- What the server and the database are like.
SELECT cast(current_setting('server_version_num') AS int) AS version_num,
       pg_encoding_to_char(d.encoding) AS encoding,
       current_user AS role,
       clock_timestamp() AS now,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS read_only,
       current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on' AS autovacuum,
       ARRAY(SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
              WHERE current_setting(name) = 'off') AS unsafe,
       (SELECT count(*) FROM pg_class c
         WHERE c.relname = 'alembic_version'
           AND c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')) > 0 AS migrated
  FROM pg_database d
 WHERE d.datname = current_database();
