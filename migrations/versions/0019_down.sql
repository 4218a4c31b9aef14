DELETE FROM noti.rights
 WHERE object IN ('receipts_raw', 'receipts', 'provider_references', 'receive', 'receipt_rank', 'erase_receipts')
    OR columns = '{receipt,receipt_at}';
ALTER TABLE noti.notifications_log DROP COLUMN receipt, DROP COLUMN receipt_at;
DROP TABLE noti.provider_references, noti.receipts, noti.receipts_raw;
