-- Look at the next :limit attachments past their age after a position; give those that no notification names.
--
-- Along attachments_created.
\set age '''90 days'''
\set after_at '''1970-01-01 00:00+00'''
\set after_id '''00000000-0000-0000-0000-000000000000'''
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.attachment_id) FILTER (WHERE NOT row.named), '{}') AS ids,
       max(row.created_at) AS last_at,
       (array_agg(row.attachment_id ORDER BY row.created_at DESC, row.attachment_id DESC))[1] AS last_id
  FROM (
       SELECT a.attachment_id, a.created_at,
              noti.attachment_named(a.attachment_id) AS named
         FROM noti.attachments a
        WHERE (a.created_at, a.attachment_id) > (cast(:after_at AS timestamptz), cast(:after_id AS uuid))
          AND a.created_at < now() - cast(:age AS interval)
        ORDER BY a.created_at, a.attachment_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
