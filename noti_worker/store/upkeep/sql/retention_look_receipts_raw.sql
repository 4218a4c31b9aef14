-- Look at the next :limit requests of providers after a position; give those past their age, if they were read.
\set age '''90 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.raw_id) FILTER (WHERE row.received_at < now() - cast(:age AS interval) AND row.read_at IS NOT NULL), '{}') AS ids,
       max(row.raw_id) AS last
  FROM (
       SELECT r.raw_id, r.received_at, r.read_at
         FROM noti.receipts_raw r
        WHERE r.raw_id > cast(:after AS bigint)
        ORDER BY r.raw_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
