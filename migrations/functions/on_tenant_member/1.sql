-- Keeps the list of each role, and writes an audit line for each role that is bound to a tenant or let go.
CREATE OR REPLACE FUNCTION noti.on_tenant_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM noti.tenant_lists;
    RETURN NULL;
  END IF;
  -- From what the list is at that moment, not from what this transaction sees: two may bind one role at once.
  IF TG_OP IN ('UPDATE', 'DELETE') THEN
    UPDATE noti.tenant_lists l SET tenants = array_remove(l.tenants, OLD.tenant_id) WHERE l.role = OLD.role;
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
    VALUES (OLD.tenant_id, 'role', OLD.role::text, 'role_unbound', 'db', noti.actor());
  END IF;
  IF TG_OP IN ('UPDATE', 'INSERT') THEN
    INSERT INTO noti.tenant_lists AS l (role, tenants) VALUES (NEW.role, ARRAY[NEW.tenant_id])
    ON CONFLICT ON CONSTRAINT tenant_lists_pkey DO UPDATE SET tenants = array_append(l.tenants, NEW.tenant_id);
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
    VALUES (NEW.tenant_id, 'role', NEW.role::text, 'role_bound', 'db', noti.actor());
  END IF;
  RETURN NULL;
END $$;
