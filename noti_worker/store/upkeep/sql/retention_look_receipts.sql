-- Look at the next :limit receipts after a position; give those past their age.
\set age '''90 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.receipt_id) FILTER (WHERE row.created_at < now() - cast(:age AS interval)), '{}') AS ids,
       max(row.receipt_id) AS last
  FROM (
       SELECT r.receipt_id, r.created_at
         FROM noti.receipts r
        WHERE r.receipt_id > cast(:after AS bigint)
        ORDER BY r.receipt_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
