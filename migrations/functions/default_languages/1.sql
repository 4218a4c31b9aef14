-- What stands in for the language of a row where a template has none of it: `ALTER DATABASE … SET noti.default_locale = 'en'`.
CREATE OR REPLACE FUNCTION noti.default_languages(tenant_id text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN current_setting('noti.default_locale', true) <> '' THEN noti.languages(current_setting('noti.default_locale', true)) END;
