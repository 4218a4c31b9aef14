-- What keeps this row from being sent now, in words; NULL when nothing is closed that does.
CREATE OR REPLACE FUNCTION noti.paused(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(noti.closure_words(c), ', and ' ORDER BY c.since, c.scope, c.tenant_id, c.name) FROM noti.closed_by(n) AS c
$$;
