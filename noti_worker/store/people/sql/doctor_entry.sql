-- What the role lacks to look at its rights, as the body of a GRANT each.
--
-- The names come from the catalog: asking for them by to_regclass needs the very right on the schema that may be missing.
WITH noti AS (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
SELECT 'USAGE ON SCHEMA noti' AS lacking
  FROM noti
 WHERE NOT has_schema_privilege(noti.oid, 'USAGE')
UNION ALL
SELECT 'SELECT ON noti.rights'
  FROM noti
  JOIN pg_class c ON c.relnamespace = noti.oid AND c.relname = 'rights'
 WHERE NOT has_table_privilege(c.oid, 'SELECT');
