-- What closes the way of this row, in words; NULL when nothing does.
CREATE OR REPLACE FUNCTION noti.paused(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(o.words, ', and ' ORDER BY o.since, o.scope, o.name) FROM noti.obstacle_closed(n) AS o
$$;
