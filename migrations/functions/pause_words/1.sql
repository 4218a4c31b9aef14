-- One pause in words, for next_step and for people.
CREATE OR REPLACE FUNCTION noti.pause_words(p noti.pauses) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE p.scope WHEN 'everything' THEN 'everything' ELSE 'the ' || p.scope || ' ' || p.name END
         || ' is paused by ' || p.paused_by || ' since ' || noti.instant(p.created_at)
         || coalesce(' until ' || noti.instant(p.until), ' until it is resumed') || coalesce(' (' || p.reason || ')', '')
$$;
