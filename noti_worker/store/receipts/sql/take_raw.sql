-- The next request that nobody has read, or reads just now, behind a raw_id.
\set after 0
SELECT raw_id, account, provider, received_at, query, headers, body
  FROM noti.receipts_raw
 WHERE read_at IS NULL AND raw_id > cast(:after AS bigint)
 ORDER BY raw_id
 LIMIT 1
   FOR NO KEY UPDATE SKIP LOCKED;
