-- An audit line for each role that is bound to a tenant or let go.
CREATE OR REPLACE FUNCTION noti.on_tenant_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m noti.tenant_members;
BEGIN
  IF TG_OP = 'DELETE' THEN m := OLD; ELSE m := NEW; END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
  VALUES (m.tenant_id, 'role', m.role::text, CASE TG_OP WHEN 'DELETE' THEN 'role_unbound' ELSE 'role_bound' END, 'db', noti.actor());
  RETURN NULL;
END $$;
