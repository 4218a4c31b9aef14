-- Look at the next :limit entries of the suppression list after a position; give those whose end is past its age.
\set age '''365 days'''
\set after 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.suppression_id) FILTER (WHERE coalesce(row.lifted_at, row.expires_at) < now() - cast(:age AS interval)), '{}')
       AS ids,
       max(row.suppression_id) AS last
  FROM (
       SELECT s.suppression_id, s.lifted_at, s.expires_at
         FROM noti.suppressions s
        WHERE s.suppression_id > cast(:after AS bigint)
        ORDER BY s.suppression_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
