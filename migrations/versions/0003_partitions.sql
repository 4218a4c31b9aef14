-- The partitions of the two logs: which there are, how they are made ahead, dropped, and the default one emptied.
--
-- One for each month in UTC, not for each week: every one costs each recorded batch about 25 µs of planning, and
-- whoever drops nothing has sixty of them after five years. All run with the caller's rights: who owns the logs, or is
-- a member of that role, may make and drop partitions.
--
-- lock_timeout: whoever waits for a table lock makes everybody else wait behind him. A worker that finds the log in
-- use by a long report tries again later instead; months are made long before they are needed.

-- The partitions, with the default one (no bounds). The first one of a database that had logs before begins at -infinity.
CREATE FUNCTION noti.log_partitions() RETURNS TABLE (log text, partition text, from_at timestamptz, to_at timestamptz)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
  SELECT p.relname::text, c.relname::text,
         CASE bounds[1] WHEN 'MINVALUE' THEN '-infinity' ELSE btrim(bounds[1], '''')::timestamptz END,
         btrim(bounds[2], '''')::timestamptz
    FROM pg_inherits i
    JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_class c ON c.oid = i.inhrelid
   CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM [(](.*)[)] TO [(](.*)[)]') AS bounds) AS found
   WHERE p.relnamespace = 'noti'::regnamespace AND p.relname IN ('notification_attempts_log', 'audit_log') AND p.relkind = 'p'
   ORDER BY 1, 3, 2
$$;

-- Make one table ready and tie it to its log; `bounds` is what follows ATTACH PARTITION. Row triggers come with the
-- log, the trigger against TRUNCATE does not. It belongs to whom the log belongs, whichever member of that role makes it.
CREATE FUNCTION noti.attach_log_partition(log text, partition text, bounds text) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  owner oid;
BEGIN
  IF to_regclass(format('noti.%I', partition)) IS NULL THEN
    EXECUTE format('CREATE TABLE noti.%I (LIKE noti.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, log);
    SELECT c.relowner INTO owner FROM pg_class c WHERE c.oid = format('noti.%I', log)::regclass;
    IF owner <> current_user::regrole THEN
      EXECUTE format('ALTER TABLE noti.%I OWNER TO %s', partition, owner::regrole);
    END IF;
    IF log = 'audit_log' THEN
      EXECUTE format('CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON noti.%I
                      FOR EACH STATEMENT EXECUTE FUNCTION noti.on_audit_change()', partition);
    END IF;
  END IF;
  EXECUTE format('ALTER TABLE noti.%I ATTACH PARTITION noti.%I %s', log, partition, bounds);
END $$;

-- Make the partitions of both logs that are missing for the month of `at` and the `ahead` months after it; gives
-- their names. A month that has lines in the default partition waits until they are out of there.
CREATE FUNCTION noti.add_log_partitions(at timestamptz, ahead int) RETURNS SETOF text
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

-- Lines in the default partition of a log get months of their own: the default partition becomes the partition of
-- just these months, whatever its size no line is copied, and an empty one takes its place. Gives the new name; NULL
-- when there is nothing, or when the months from the first to the last line are not free (or no months at all).
CREATE FUNCTION noti.settle_default_partition(log text) RETURNS text
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

-- Drop one partition, if all its lines are older than `before`; true when it is gone.
CREATE FUNCTION noti.drop_log_partition(partition text, before timestamptz) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM noti.log_partitions() p WHERE p.partition = drop_log_partition.partition AND p.to_at <= before) THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS noti.%I', partition);   -- another may have been faster
  RETURN true;
END $$;
