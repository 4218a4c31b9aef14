-- Workers live, and the database refuses to each of them what it must do for this row; `code` is what. Some things are said by channel.
CREATE OR REPLACE FUNCTION noti.obstacle_unable(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH each AS (
    SELECT l.worker_id, u.what, u.why
      FROM noti.living l
      LEFT JOIN LATERAL (
           SELECT t.what, t.why
             FROM jsonb_each_text(CASE WHEN jsonb_typeof(l.state->'unable') = 'object' THEN l.state->'unable' END) AS t (what, why)
            WHERE t.what !~ '^(claim|look up content of|mark) ' OR t.what ~ (' ' || n.channel || '$')
            ORDER BY t.what LIMIT 1) AS u ON true)
  SELECT 'unable', 'everything', NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::text,
         'no running worker is able to: worker ' || min(e.worker_id)::text || ' cannot ' || (array_agg(e.what ORDER BY e.worker_id))[1] || ', '
         || (array_agg(e.why ORDER BY e.worker_id))[1], (array_agg(e.what ORDER BY e.worker_id))[1]
    FROM each e
  HAVING count(*) > 0 AND count(e.what) = count(*)
$$;
