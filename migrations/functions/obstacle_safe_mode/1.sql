-- Every account that may send it is in safe mode; `code` says in which.
CREATE OR REPLACE FUNCTION noti.obstacle_safe_mode(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'safe_mode', 'channel', n.channel, NULL::timestamptz, NULL::timestamptz, NULL::text,
         'safe mode is on (' || string_agg(DISTINCT a.mode, ', ') || '): it does not reach its recipient', string_agg(DISTINCT a.mode, ', ')
    FROM noti.accounts_for(n) a
  HAVING count(*) > 0 AND NOT bool_or(a.mode = 'live')
$$;
