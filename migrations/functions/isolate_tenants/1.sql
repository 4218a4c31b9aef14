-- Switch the isolation of tenants on or off; true when that changed anything. On: a role sees the tenants that it is bound to, none when
-- it is bound to none; members of noti_all_tenants and the workers see all. current_user decides: the role that logged in or was SET.
-- The owner of the tables is not bound, and FORCE does not bind it either: our own triggers run as the owner, so that every insert of an
-- application would fail, TRUNCATE would pass the guard, an erasure would find nobody, and the owner could switch it off at any time.
CREATE OR REPLACE FUNCTION noti.isolate_tenants(isolated boolean) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  one     record;
  changed boolean := false;
BEGIN
  FOR one IN
    SELECT c.oid::regclass::text AS place, c.relname FROM pg_class c
     WHERE c.relnamespace = 'noti'::regnamespace AND c.relforcerowsecurity ORDER BY 1
  LOOP
    RAISE EXCEPTION 'noti: row-level security is forced on the owner of %. Our own triggers run as the owner: inserts would fail, and an erasure would find nobody. ALTER TABLE noti.% NO FORCE ROW LEVEL SECURITY first.',
      one.place, quote_ident(one.relname) USING ERRCODE = 'object_not_in_prerequisite_state';
  END LOOP;
  IF isolated THEN
    IF (SELECT count(*) <> 2 FROM pg_roles r WHERE r.rolname IN ('noti_all_tenants', 'noti_worker')) THEN
      RAISE EXCEPTION 'noti: the roles noti_all_tenants and noti_worker are missing, and nobody would see anything. noti-worker migrate --roles-sql prints what makes them.'
        USING ERRCODE = 'undefined_object';
    END IF;
    UPDATE noti.tenant_tables t SET reads = t.reads   -- their policies are made anew
     WHERE t.reads IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = format('noti.%I', t.name)::regclass AND p.polname = 'everything');
  END IF;
  -- A policy asks as whoever reads: all who may do anything with a table must be able to ask for their tenants.
  IF isolated THEN
    FOR one IN
      SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
        FROM noti.tenant_tables t
        JOIN pg_class c ON c.oid = format('noti.%I', t.name)::regclass
       CROSS JOIN LATERAL (
             SELECT e.grantee FROM aclexplode(c.relacl) AS e
             UNION ALL
             SELECT e.grantee FROM pg_attribute b CROSS JOIN LATERAL aclexplode(b.attacl) AS e WHERE b.attrelid = c.oid) AS a
       WHERE t.reads IS NOT NULL AND a.grantee <> c.relowner
    LOOP
      EXECUTE format('GRANT SELECT ON noti.tenant_members, noti.tenant_lists TO %s', one.grantee);
    END LOOP;
  END IF;
  -- A partition that is read by its own name knows nothing of its log's policies: with none of its own it shows nothing.
  FOR one IN
    SELECT format('noti.%I', w.name) AS place
      FROM (SELECT t.name, 2 AS rank FROM noti.tenant_tables t WHERE t.reads IS NOT NULL
            UNION ALL
            SELECT p.partition, 1 FROM noti.log_partitions() p) AS w
      JOIN pg_class c ON c.oid = format('noti.%I', w.name)::regclass
     WHERE c.relrowsecurity <> isolated
     -- the notifications last: whether they are isolated is whether all is
     ORDER BY w.name = 'notifications_log', w.rank, w.name
  LOOP
    EXECUTE format('ALTER TABLE %s %s ROW LEVEL SECURITY', one.place, CASE WHEN isolated THEN 'ENABLE' ELSE 'DISABLE' END);
    changed := true;
  END LOOP;
  IF changed THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
    VALUES ('default', 'installation', 'tenants', CASE WHEN isolated THEN 'tenants_isolated' ELSE 'tenants_opened' END, 'db', noti.actor());
  END IF;
  RETURN changed;
END $$;
