-- Workers live, and the database refuses to each of them what it must do for any row; `code` is what.
CREATE OR REPLACE FUNCTION noti.obstacle_unable(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH each AS (
    SELECT l.worker_id, u.what, u.why
      FROM noti.living l
      LEFT JOIN LATERAL (
           SELECT t.what, t.why
             FROM jsonb_each_text(CASE WHEN jsonb_typeof(l.state->'unable') = 'object' THEN l.state->'unable' END) AS t (what, why)
            ORDER BY t.what LIMIT 1) AS u ON true)
  SELECT 'unable', 'everything', NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::text,
         'no running worker is able to: worker ' || min(e.worker_id)::text || ' cannot ' || (array_agg(e.what ORDER BY e.worker_id))[1] || ', '
         || (array_agg(e.why ORDER BY e.worker_id))[1], (array_agg(e.what ORDER BY e.worker_id))[1]
    FROM each e
  HAVING count(*) > 0 AND count(e.what) = count(*)
$$;
