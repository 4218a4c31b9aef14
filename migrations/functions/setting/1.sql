-- What is set for a tenant, or NULL: flags and settings of one's own, and those that workers go by.
CREATE OR REPLACE FUNCTION noti.setting(tenant text, key text) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT s.value FROM noti.settings s WHERE s.tenant_id = tenant AND s.key = setting.key);
