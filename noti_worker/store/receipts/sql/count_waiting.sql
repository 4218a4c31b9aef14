-- Requests that nobody has read yet, receipts whose notification is looked for (10,000 stands for more), and the age of the oldest
-- such request in seconds.
SELECT (SELECT count(*) FROM (SELECT FROM noti.receipts_raw WHERE read_at IS NULL LIMIT 10000) AS w) AS unread,
       (SELECT count(*) FROM (SELECT FROM noti.receipts WHERE look_at IS NOT NULL LIMIT 10000) AS r) AS parked,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - received_at)::float8
                   FROM noti.receipts_raw WHERE read_at IS NULL ORDER BY raw_id LIMIT 1), 0) AS oldest_seconds;
