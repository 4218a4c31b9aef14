-- Workers live, and none has an account for its channel. One that has not said what it serves may serve it.
CREATE OR REPLACE FUNCTION noti.obstacle_unserved(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'unserved', 'channel', n.channel, NULL::timestamptz, NULL::timestamptz, NULL::text,
         'no running worker serves ' || n.channel || ': configure an account for it', NULL::text
    FROM noti.living l
  HAVING count(*) > 0 AND NOT bool_or(coalesce(l.state->'channels' ? n.channel, true))
$$;
