-- The roles and what each may do. Run by the migration, and by hand whenever something is missing: first by somebody
-- who may create roles (CREATEROLE), then, unless that was a superuser, by the owner of the schema. Running it again
-- changes nothing. Roles belong to the whole server, rights to this database.
DO $$
DECLARE
  name    text;
  one     record;
  missing text[] := '{}';
  able    constant boolean := (SELECT r.rolsuper OR r.rolcreaterole FROM pg_roles r WHERE r.rolname = current_user);
BEGIN
  FOREACH name IN ARRAY ARRAY['noti_app', 'noti_worker', 'noti_operator', 'noti_readonly', 'noti_all_tenants', 'noti_migrator'] LOOP
    CONTINUE WHEN to_regrole(name) IS NOT NULL;
    IF NOT able THEN
      missing := missing || name;
      CONTINUE;
    END IF;
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;   -- another database of this server was migrated at the same moment
    END;
  END LOOP;
  IF missing <> '{}' THEN
    RAISE NOTICE 'noti: the roles % do not exist, and this role may not create them. noti-worker migrate --roles-sql prints what an administrator has to run.',
      array_to_string(missing, ', ');
  END IF;

  IF to_regnamespace('noti') IS NULL THEN   -- the migration comes by here again
    IF to_regrole('noti_migrator') IS NOT NULL
       AND pg_has_role(current_user, (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database()), 'USAGE') THEN
      EXECUTE format('GRANT CREATE ON DATABASE %I TO noti_migrator', current_database());
    END IF;
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = to_regnamespace('noti') AND p.proname = 'rights_of_roles') THEN
    RETURN;
  END IF;
  IF NOT pg_has_role(current_user, (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'noti'), 'USAGE') THEN
    RAISE NOTICE 'noti: the rights are granted by the owner of the schema: run this as %, too.',
      (SELECT n.nspowner::regrole FROM pg_namespace n WHERE n.nspname = 'noti');
    RETURN;
  END IF;
  FOR one IN SELECT r.role, r.wanted FROM noti.rights_of_roles() r WHERE to_regrole(r.role) IS NOT NULL LOOP
    EXECUTE format('GRANT %s TO %I', one.wanted, one.role);
  END LOOP;
END $$;
