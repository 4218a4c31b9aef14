-- A row of noti.tenant_tables is what its table's policies are made of. They do nothing until tenants are isolated.
CREATE OR REPLACE FUNCTION noti.on_tenant_table() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  policy name;
  place  text;
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.reads IS NOT NULL AND to_regclass(format('noti.%I', OLD.name)) IS NOT NULL THEN
    place := format('noti.%I', OLD.name);
    FOR policy IN
      SELECT p.polname FROM pg_policy p
       WHERE p.polrelid = place::regclass AND p.polname IN ('tenant_reads', 'tenant_inserts', 'tenant_updates', 'tenant_deletes', 'everything')
    LOOP
      EXECUTE format('DROP POLICY %I ON %s', policy, place);
    END LOOP;
    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', place);
  END IF;
  IF TG_OP = 'DELETE' OR NEW.reads IS NULL THEN
    RETURN NULL;
  END IF;
  place := format('noti.%I', NEW.name);
  EXECUTE format('CREATE POLICY tenant_reads ON %s FOR SELECT USING (%s)', place, noti.tenant_rule(NEW.name, NEW.reads, false));
  IF NEW.writes <> 'nobody' THEN
    EXECUTE format('CREATE POLICY tenant_inserts ON %s FOR INSERT WITH CHECK (%s)', place, noti.tenant_rule(NEW.name, NEW.writes, true));
    EXECUTE format('CREATE POLICY tenant_updates ON %s FOR UPDATE USING (%s) WITH CHECK (%2$s)', place, noti.tenant_rule(NEW.name, NEW.writes, true));
    EXECUTE format('CREATE POLICY tenant_deletes ON %s FOR DELETE USING (%s)', place, noti.tenant_rule(NEW.name, NEW.writes, true));
  END IF;
  IF (SELECT count(*) = 2 FROM pg_roles r WHERE r.rolname IN ('noti_all_tenants', 'noti_worker')) THEN   -- else noti.isolate_tenants makes it
    EXECUTE format('CREATE POLICY everything ON %s TO noti_all_tenants, noti_worker USING (true) WITH CHECK (true)', place);
  END IF;
  IF noti.isolated() THEN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', place);
  END IF;
  RETURN NULL;
END $$;
