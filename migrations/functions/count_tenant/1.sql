-- How many rows of a tenant there are in each table.
CREATE OR REPLACE FUNCTION noti.count_tenant(tenant text) RETURNS TABLE (of_table text, rows bigint)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  one  record;
  here bigint;
BEGIN
  FOR one IN SELECT t.of_table, array_agg(t.name) AS names, bool_or(t.by_tenant) AS by_tenant, bool_or(t.by_notification) AS by_notification
               FROM noti.tables_of_tenant() t GROUP BY t.of_table ORDER BY min(t.turn), t.of_table LOOP
    EXECUTE format('SELECT count(*) FROM noti.%I t WHERE %s', one.of_table, noti.tenant_condition(one.of_table, one.by_tenant, one.by_notification))
       INTO here USING count_tenant.tenant;
    of_table := one.of_table; rows := here;
    RETURN NEXT;
  END LOOP;
END $$;
