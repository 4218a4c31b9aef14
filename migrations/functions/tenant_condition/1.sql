-- Which rows of a table, as `t`, are those of the tenant $1. A line that does not say whose it is belongs to whose notification it is; a
-- pause of a whole tenant has it as its name, and what concerns an account of its own begins with it.
CREATE OR REPLACE FUNCTION noti.tenant_condition(of_table text, by_tenant boolean, by_notification boolean) RETURNS text
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT concat_ws(' OR ',
           CASE WHEN by_tenant THEN 't.tenant_id = $1' END,
           CASE WHEN by_notification AND of_table <> 'notifications_log' THEN
             CASE WHEN by_tenant THEN 't.tenant_id IS NULL AND ' ELSE '' END
             || 'EXISTS (SELECT FROM noti.notifications_log n WHERE n.notification_id = t.notification_id AND n.tenant_id = $1)' END,
           CASE WHEN of_table IN ('pauses', 'circuits', 'limits', 'buckets', 'usage', 'spent') THEN
             't.scope = ''account'' AND starts_with(t.name, $1 || ''/'')' END,
           CASE WHEN of_table = 'pauses' THEN 't.scope = ''tenant'' AND t.name = $1' END)
$$;
