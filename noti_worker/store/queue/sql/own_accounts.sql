-- The accounts, with their secrets, of tenants of which something was changed after the version that is known; of one that has none any
-- more a row without a name.
\set known 0
\set tenant '''acme'''
SELECT v.tenant_id, v.version, a.name, a.provider, a.channels, a.settings, a.mode, a.version AS account_version,
       coalesce(s.purposes, '{}') AS purposes, coalesce(s.key_ids, '{}') AS key_ids, coalesce(s.sealed, '{}') AS sealed
  FROM noti.account_versions v
  LEFT JOIN noti.accounts a ON a.tenant_id = v.tenant_id
  LEFT JOIN LATERAL (
       SELECT array_agg(s.purpose ORDER BY s.purpose) AS purposes, array_agg(s.key_id ORDER BY s.purpose) AS key_ids,
              array_agg(s.sealed ORDER BY s.purpose) AS sealed
         FROM noti.secrets s
        WHERE s.tenant_id = a.tenant_id AND s.account = a.name) AS s ON true
 WHERE v.version > cast(:known AS bigint) AND (cast(:tenant AS text) IS NULL OR v.tenant_id = cast(:tenant AS text))
 ORDER BY v.tenant_id, a.name;
