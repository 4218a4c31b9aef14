-- A duration for people: 31 ms, 1.5 s, 1m36s, 2h5m, 7d.
CREATE OR REPLACE FUNCTION noti.span(seconds numeric) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN seconds < 1 THEN round(1000 * seconds)::text || ' ms'
              WHEN round(seconds, 1) < 60 THEN trim_scale(round(seconds, 1))::text || ' s'
              WHEN w.whole < 3600 THEN (w.whole / 60)::text || 'm' || coalesce(nullif(w.whole % 60, 0)::text || 's', '')
              WHEN w.whole < 86400 THEN (w.whole / 3600)::text || 'h' || coalesce(nullif(w.whole % 3600 / 60, 0)::text || 'm', '')
              ELSE (w.whole / 86400)::text || 'd' || coalesce(nullif(w.whole % 86400 / 3600, 0)::text || 'h', '') END
    FROM (SELECT round(seconds)::bigint AS whole) AS w
$$;
