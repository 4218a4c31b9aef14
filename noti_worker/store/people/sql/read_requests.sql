-- Requests that providers posted and that are kept, the newest first, without what they hold: all of them, those that nobody has read
-- (unread) or that could not be read (unreadable).
\set state 'NULL::text'
\set accounts 'NULL::text[]'
\set limit 50
SELECT q.raw_id, q.account, q.provider, q.received_at, q.read_at, q.error
  FROM noti.receipts_raw q
 WHERE (cast(:state AS text) IS DISTINCT FROM 'unread' OR q.read_at IS NULL)
   AND (cast(:state AS text) IS DISTINCT FROM 'unreadable' OR q.error IS NOT NULL)
   AND (cast(:accounts AS text[]) IS NULL OR q.account = ANY (cast(:accounts AS text[])))
 ORDER BY q.raw_id DESC
 LIMIT cast(:limit AS bigint);
