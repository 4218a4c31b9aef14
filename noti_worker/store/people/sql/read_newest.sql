-- The time by the database's clock, and the newest receipt.
SELECT clock_timestamp() AS at, coalesce((SELECT max(r.receipt_id) FROM noti.receipts r), 0) AS receipt_id;
