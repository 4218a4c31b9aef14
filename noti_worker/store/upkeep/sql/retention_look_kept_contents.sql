-- Look at the next :limit kept contents past their end after a position, the oldest first.
\set after_at '''1970-01-01 00:00+00'''
\set after_id 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.kept_id), '{}') AS ids,
       (array_agg(row.kept_until ORDER BY row.kept_until DESC, row.kept_id DESC))[1] AS last_at,
       (array_agg(row.kept_id ORDER BY row.kept_until DESC, row.kept_id DESC))[1] AS last_id
  FROM (
       SELECT k.kept_id, k.kept_until
         FROM noti.kept_contents k
        WHERE k.kept_until < now() AND (k.kept_until, k.kept_id) > (cast(:after_at AS timestamptz), cast(:after_id AS bigint))
        ORDER BY k.kept_until, k.kept_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
