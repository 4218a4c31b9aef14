-- Delete the named requests of providers.
\set ids 'array[1, 2]'
WITH gone AS (
    DELETE FROM noti.receipts_raw r
     WHERE r.raw_id = ANY (cast(:ids AS bigint[]))
    RETURNING r.raw_id
)
SELECT 'receipts_raw' AS kind, count(*) AS rows FROM gone HAVING count(*) > 0;
