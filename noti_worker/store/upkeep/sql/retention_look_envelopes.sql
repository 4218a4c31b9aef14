-- Look at the next :limit envelopes after a position; give those past their age, but for the newest of each endpoint.
\set age '''14 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.envelope_id) FILTER (
           WHERE row.made_at < now() - cast(:age AS interval)
             AND EXISTS (SELECT FROM noti.envelopes l WHERE l.endpoint_id = row.endpoint_id AND l.envelope_id > row.envelope_id)), '{}') AS ids,
       max(row.envelope_id) AS last
  FROM (
       SELECT v.envelope_id, v.endpoint_id, v.made_at
         FROM noti.envelopes v
        WHERE v.envelope_id > cast(:after AS bigint)
        ORDER BY v.envelope_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
