-- Every table that holds things of tenants, from the catalogue, so that one of a later version is not forgotten: those with a tenant_id,
-- and those that hang on a notification. Of a partitioned one each partition, with the table that it is part of. `turn` is the order
-- in which they are emptied: what hangs on notifications before these, what writes audit lines and versions before those, and tenants last.
CREATE OR REPLACE FUNCTION noti.tables_of_tenant() RETURNS TABLE (name text, of_table text, pages bigint, by_tenant boolean, by_notification boolean, turn int)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.relname::text, root.relname::text, pg_relation_size(c.oid) / current_setting('block_size')::int, has.tenant, has.notification,
         CASE root.relname WHEN 'tenants' THEN 5 WHEN 'audit_log' THEN 4 WHEN 'account_versions' THEN 4 WHEN 'settings' THEN 3 WHEN 'notifications_log' THEN 2
                           ELSE CASE WHEN has.notification THEN 1 ELSE 3 END END
    FROM pg_class c
    LEFT JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid), c.oid)
   CROSS JOIN LATERAL (
         SELECT coalesce(bool_or(a.attname = 'tenant_id'), false) AS tenant, coalesce(bool_or(a.attname = 'notification_id'), false) AS notification
           FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS has
   WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti') AND c.relkind = 'r' AND (has.tenant OR has.notification)
   ORDER BY 6, 2, 1
$$;
