-- A setting that nothing would heed, or whose value is of another kind, is refused in words. A flag may be anything that is one value.
CREATE OR REPLACE FUNCTION noti.on_odd_setting() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong text;
BEGIN
  wrong := CASE
    WHEN coalesce(NEW.tenant_id, '') = '' OR octet_length(NEW.tenant_id) > 128 THEN 'the tenant is missing, or its name is longer than 128 bytes. Say whose setting it is.'
    WHEN NEW.key IS NULL OR NEW.key NOT IN ('retention_days', 'zone', 'locale', 'quiet_hours') AND NEW.key !~ '^flag[.][a-z0-9_.-]{1,100}$' THEN
      'there is no setting ' || coalesce(left(NEW.key, 100), '') || '. Give retention_days, zone, locale or quiet_hours; those of the application are called flag. and a name in small letters.'
    WHEN coalesce(jsonb_typeof(NEW.value), 'null') NOT IN ('string', 'number', 'boolean') OR octet_length(NEW.value::text) > 2048 THEN
      'a setting is one text, number or true or false of at most 2048 bytes. Give it as JSON.'
    WHEN NEW.key = 'retention_days' AND CASE WHEN jsonb_typeof(NEW.value) = 'number' THEN
           (NEW.value #>> '{}')::numeric NOT BETWEEN 1 AND 36500 OR (NEW.value #>> '{}')::numeric % 1 <> 0 ELSE true END THEN
      'retention_days is a whole number of days. Give from 1 to 36500.'
    WHEN NEW.key = 'zone' AND NOT EXISTS (
           SELECT FROM pg_timezone_names z WHERE jsonb_typeof(NEW.value) = 'string' AND lower(z.name) = lower(NEW.value #>> '{}')) THEN
      'the time zone is unknown. Give one such as UTC or Europe/Berlin.'
    WHEN NEW.key = 'locale' AND (jsonb_typeof(NEW.value) <> 'string' OR NEW.value #>> '{}' !~ '^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$'
                                 OR length(NEW.value #>> '{}') > 64) THEN
      'the locale is no language tag. Give one such as en or pt-BR.'
    WHEN NEW.key = 'quiet_hours' AND (jsonb_typeof(NEW.value) <> 'string' OR NEW.value #>> '{}' !~ '^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$'
                                      OR split_part(NEW.value #>> '{}', '-', 1) = split_part(NEW.value #>> '{}', '-', 2)) THEN
      'the quiet hours cannot be read. Give two different times such as 22:00-07:00.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'settings_sane';
  END IF;
  RETURN NEW;
END $$;
