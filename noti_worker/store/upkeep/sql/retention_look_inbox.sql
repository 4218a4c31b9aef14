-- Look at the next :limit in-app messages after a position, the oldest first; give those that are past their age.
\set age '''90 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.inbox_id) FILTER (WHERE row.created_at < now() - cast(:age AS interval)), '{}') AS ids,
       max(row.inbox_id) AS last
  FROM (
       SELECT i.inbox_id, i.created_at
         FROM noti.inbox i
        WHERE i.inbox_id > cast(:after AS bigint)
        ORDER BY i.inbox_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
