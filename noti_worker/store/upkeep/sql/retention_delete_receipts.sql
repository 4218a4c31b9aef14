-- Delete the named receipts.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.receipts r
     WHERE r.receipt_id = ANY (cast(:ids AS bigint[]))
    RETURNING r.receipt_id
)
SELECT 'receipts' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
