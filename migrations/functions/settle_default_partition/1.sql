-- Lines in the default partition of a log get months of their own: the default partition becomes the partition of
-- just these months, whatever its size no line is copied, and an empty one takes its place. Gives the new name; NULL
-- when there is nothing, or when the months from the first to the last line are not free (or no months at all).
CREATE OR REPLACE FUNCTION noti.settle_default_partition(log text) RETURNS text
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET lock_timeout = '200ms' AS $$
DECLARE
  catchall constant text := log || '_default';
  since    timestamptz;
  until    timestamptz;
  name     text;
BEGIN
  EXECUTE format('SELECT min(created_at) FROM noti.%I', catchall) INTO since;
  IF since IS NULL THEN RETURN NULL; END IF;
  EXECUTE format('LOCK TABLE noti.%I IN ACCESS EXCLUSIVE MODE', log);   -- no line comes in between
  EXECUTE format('SELECT date_trunc(''month'', min(created_at)), max(created_at) FROM noti.%I', catchall) INTO since, until;
  IF since IS NULL OR since < '2000-01-01' OR until >= '2200-01-01' THEN RETURN NULL; END IF;
  name := log || to_char(since, '_YYYY_MM') || CASE WHEN until >= since + interval '1 month' THEN to_char(until, '_to_YYYY_MM') ELSE '' END;
  until := date_trunc('month', until) + interval '1 month';
  IF EXISTS (SELECT FROM noti.log_partitions() p
              WHERE p.log = settle_default_partition.log AND p.from_at < until AND p.to_at > since) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('ALTER TABLE noti.%I DETACH PARTITION noti.%I', log, catchall);
  EXECUTE format('ALTER TABLE noti.%I RENAME TO %I', catchall, name);
  PERFORM noti.attach_log_partition(log, name, format('FOR VALUES FROM (%L) TO (%L)', since, until));
  PERFORM noti.attach_log_partition(log, catchall, 'DEFAULT');
  RETURN name;
END $$;
