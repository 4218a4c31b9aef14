-- What is wrong with options.digest, and what to do about it; NULL when it can be read.
CREATE OR REPLACE FUNCTION noti.digest_fault(digest jsonb) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  known constant text[] := '{after,quiet_for,at,zone,most,template,subject}';
  name  text;
BEGIN
  IF jsonb_typeof(digest) <> 'object' THEN
    RETURN 'options.digest is not a JSON object. Give one like {"after": "15m"}, or leave it out.';
  END IF;
  SELECT k INTO name FROM jsonb_object_keys(digest) AS k WHERE k <> ALL (known) ORDER BY k LIMIT 1;
  IF name IS NOT NULL THEN
    RETURN 'options.digest.' || left(name, 64) || ' is unknown. Known are ' || array_to_string(known, ', ') || '.';
  END IF;
  FOREACH name IN ARRAY '{after,quiet_for}'::text[] LOOP
    IF digest ? name AND (jsonb_typeof(digest -> name) <> 'string' OR digest ->> name !~ '^[0-9]{1,6}[smhdw]$'
         OR (digest ->> name)::interval NOT BETWEEN '1 second' AND '366 days') THEN
      RETURN 'options.digest.' || name || ' is no span of time. Give one like "30s", "15m", "4h" or "7d", at most 366 days.';
    END IF;
  END LOOP;
  IF digest ? 'at' AND (jsonb_typeof(digest -> 'at') <> 'string' OR digest ->> 'at' !~ '^((mon|tue|wed|thu|fri|sat|sun) )?([01][0-9]|2[0-3]):[0-5][0-9]$') THEN
    RETURN 'options.digest.at is no time of day. Give one like "08:00" or "mon 08:00".';
  END IF;
  IF digest ? 'zone' THEN
    BEGIN
      IF jsonb_typeof(digest -> 'zone') = 'string' AND (strpos(digest ->> 'zone', '/') > 0 OR digest ->> 'zone' = 'UTC') THEN
        PERFORM clock_timestamp() AT TIME ZONE (digest ->> 'zone');
      ELSE
        RETURN 'options.digest.zone is no time zone. Give a name like "Europe/Berlin", or "UTC".';
      END IF;
    EXCEPTION WHEN invalid_parameter_value OR data_exception THEN
      RETURN 'options.digest.zone is not known. Give a name like "Europe/Berlin", or "UTC".';
    END;
  END IF;
  IF digest ? 'most' AND (jsonb_typeof(digest -> 'most') <> 'number' OR digest ->> 'most' !~ '^[0-9]{1,4}$' OR (digest ->> 'most')::int NOT BETWEEN 2 AND 1000) THEN
    RETURN 'options.digest.most is out of range. Give a whole number from 2 to 1000.';
  END IF;
  FOREACH name IN ARRAY '{template,subject}'::text[] LOOP
    IF digest ? name AND (jsonb_typeof(digest -> name) <> 'string' OR digest ->> name = ''
         OR octet_length(digest ->> name) > CASE name WHEN 'template' THEN 256 ELSE 4096 END) THEN
      RETURN 'options.digest.' || name || ' is no text, or too long. Give '
             || CASE name WHEN 'template' THEN 'the name of a template.' ELSE 'one of at most 4096 bytes.' END;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
