-- One closure in words, for next_step and for people.
CREATE OR REPLACE FUNCTION noti.closure_words(c noti.closures) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN c.scope = 'everything' THEN 'everything'
              WHEN c.tenant_id <> '' THEN 'the ' || substr(c.scope, 8) || ' ' || c.name || ' of the tenant ' || c.tenant_id
              ELSE 'the ' || c.scope || ' ' || c.name END
         || CASE c.cause
              WHEN 'pause' THEN ' is paused by ' || c.by || ' since ' || noti.instant(c.since)
                                || coalesce(' until ' || noti.instant(c.until), ' until it is resumed')
              WHEN 'circuit' THEN ' is in trouble since ' || noti.instant(c.since) || ', it is tried again at ' || noti.instant(c.until)
              WHEN 'disabled' THEN ' is disabled by ' || c.by || ' since ' || noti.instant(c.since)
              ELSE ' is closed since ' || noti.instant(c.since) || coalesce(' until ' || noti.instant(c.until), '') END
         || coalesce(' (' || c.reason || ')', '')
$$;
