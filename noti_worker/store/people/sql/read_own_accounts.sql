-- Tenants' own accounts as people see them: of their secrets only that there are some.
\set tenant '''acme'''
SELECT a.tenant_id, a.name, a.provider, a.channels, a.settings, a.mode, a.enabled, a.set_by, a.set_at,
       ARRAY(SELECT r.channel
               FROM noti.routes r
              WHERE r.tenant_id = a.tenant_id AND r.account = a.name
              ORDER BY r.channel) AS routes,
       coalesce((SELECT json_object_agg(s.purpose, s.key_id ORDER BY s.purpose)
                   FROM noti.secrets s
                  WHERE s.tenant_id = a.tenant_id AND s.account = a.name), '{}') AS secrets,
       (SELECT c.reason
          FROM noti.circuits c
         WHERE c.scope = 'account' AND c.tenant_id = '' AND c.name = a.tenant_id || '/' || a.name AND c.state = 'open') AS trouble
  FROM noti.accounts a
 WHERE cast(:tenant AS text) IS NULL OR a.tenant_id = cast(:tenant AS text)
 ORDER BY a.tenant_id, a.name;
