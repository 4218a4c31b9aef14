-- What stands in for the language of a row where a template has none of it: the setting `locale` of its tenant, else that of all of them,
-- `ALTER DATABASE … SET noti.default_locale = 'en'`.
CREATE OR REPLACE FUNCTION noti.default_languages(tenant_id text) RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(noti.languages(noti.setting(tenant_id, 'locale') #>> '{}'),
                  noti.languages(nullif(current_setting('noti.default_locale', true), '')));
