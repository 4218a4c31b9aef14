-- Tables and partitions that are forced on their owner, or not isolated although they hold something of tenants.
SELECT 'noti.' || c.relname AS relation, c.relforcerowsecurity AS forced,
       NOT c.relrowsecurity AND (c.relispartition OR t.reads IS NOT NULL) AS open
  FROM pg_class c
  LEFT JOIN noti.tenant_tables t ON t.name = c.relname
 WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti') AND c.relkind IN ('r', 'p')
   AND (c.relforcerowsecurity OR NOT c.relrowsecurity AND (c.relispartition OR t.reads IS NOT NULL))
 ORDER BY 1;
