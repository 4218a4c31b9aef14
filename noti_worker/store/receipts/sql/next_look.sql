-- When the next parked receipt is due to be looked at again.
SELECT min(look_at) AS next_at FROM noti.receipts WHERE look_at IS NOT NULL;
