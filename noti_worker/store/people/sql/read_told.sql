-- What providers told of notifications behind a receipt.
\set after_id 0
\set limit 1000
SELECT r.receipt_id AS id, r.created_at AS at, r.notification_id, replace(r.kind, '_', ' ') AS event,
       concat_ws(', ', 'account ' || r.account, r.code) AS detail, NULL AS by
  FROM noti.receipts r
 WHERE r.receipt_id > cast(:after_id AS bigint) AND r.tenant_id IS NOT NULL
 ORDER BY r.receipt_id LIMIT cast(:limit AS bigint);
