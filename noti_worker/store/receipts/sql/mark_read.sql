-- A request is read, or cannot be: then `error` says why.
\set raw_id 1
\set error 'NULL::text'
UPDATE noti.receipts_raw
   SET read_at = clock_timestamp(), error = cast(:error AS text)
 WHERE raw_id = cast(:raw_id AS bigint);
