-- Make the partitions of both logs that are missing for the month of `at` and the `ahead` months after it; gives
-- their names. A month that has lines in the default partition waits until they are out of there.
CREATE OR REPLACE FUNCTION noti.add_log_partitions(at timestamptz, ahead int) RETURNS SETOF text
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET lock_timeout = '200ms' AS $$
DECLARE
  parent text;
  month  timestamptz;
  name   text;
  stray  boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(7700151);   -- two at once would make the same month twice
  FOREACH parent IN ARRAY ARRAY['notification_attempts_log', 'audit_log'] LOOP
    FOR month IN SELECT date_trunc('month', at) + n * interval '1 month' FROM generate_series(0, ahead) n LOOP
      CONTINUE WHEN EXISTS (SELECT FROM noti.log_partitions() p
                             WHERE p.log = parent AND p.from_at < month + interval '1 month' AND p.to_at > month);
      EXECUTE format('SELECT EXISTS (SELECT FROM noti.%I WHERE created_at >= %L AND created_at < %L)',
                     parent || '_default', month, month + interval '1 month') INTO stray;
      CONTINUE WHEN stray;
      name := parent || to_char(month, '_YYYY_MM');
      PERFORM noti.attach_log_partition(parent, name, format('FOR VALUES FROM (%L) TO (%L)', month, month + interval '1 month'));
      RETURN NEXT name;
    END LOOP;
  END LOOP;
END $$;
