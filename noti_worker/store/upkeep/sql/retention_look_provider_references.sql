-- Look at the next :limit ids that providers gave to messages after a position; give those past their age.
\set age '''90 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.reference_id) FILTER (WHERE row.created_at < now() - cast(:age AS interval)), '{}') AS ids,
       max(row.reference_id) AS last
  FROM (
       SELECT r.reference_id, r.created_at
         FROM noti.provider_references r
        WHERE r.reference_id > cast(:after AS bigint)
        ORDER BY r.reference_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
