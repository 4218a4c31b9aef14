-- Remove what is said of a category, tenant '': of all tenants; true when there was something. As a function, since whoever may delete
-- from a table may also lock it and stop the workers.
CREATE OR REPLACE FUNCTION noti.remove_category(tenant text, category text, removed_by text DEFAULT NULL)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  removed boolean;
BEGIN
  PERFORM noti.check_tenant(nullif(remove_category.tenant, ''));
  PERFORM set_config('noti.person', coalesce(remove_category.removed_by, ''), true);
  DELETE FROM noti.categories c WHERE c.tenant_id = coalesce(remove_category.tenant, '') AND c.category = remove_category.category;
  removed := FOUND;
  PERFORM set_config('noti.person', '', true);
  RETURN removed;
END $$;
