-- Drop one partition, if all its lines are older than `before`; true when it is gone.
CREATE OR REPLACE FUNCTION noti.drop_log_partition(partition text, before timestamptz) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM noti.log_partitions() p WHERE p.partition = drop_log_partition.partition AND p.to_at <= before) THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS noti.%I', partition);   -- another may have been faster
  RETURN true;
END $$;
