-- Look at the next :limit events after a position; give those past their age.
\set age '''14 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.event_id) FILTER (WHERE row.at < now() - cast(:age AS interval)), '{}') AS ids,
       max(row.event_id) AS last
  FROM (
       SELECT e.event_id, e.at
         FROM noti.events e
        WHERE e.event_id > cast(:after AS bigint)
        ORDER BY e.event_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
