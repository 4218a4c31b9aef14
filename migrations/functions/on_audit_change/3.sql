-- The audit log is append-only. Only the role noti_retention and its members may change it. A superuser is a member of every role
-- for pg_has_role: he has to say SET ROLE noti_retention, so that nothing happens by accident.
CREATE OR REPLACE FUNCTION noti.on_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- An erasure takes a person's words out of a line, or the name of whom it is about, and nothing else.
  IF TG_OP = 'UPDATE' THEN
    IF current_setting('noti.erasing', true) = 'on'
       AND (NEW.audit_id, NEW.tenant_id, NEW.entity_type, NEW.action, NEW.action_by_type, NEW.action_by, NEW.created_at)
           IS NOT DISTINCT FROM
           (OLD.audit_id, OLD.tenant_id, OLD.entity_type, OLD.action, OLD.action_by_type, OLD.action_by, OLD.created_at)
       AND (NEW.entity_id IS NOT DISTINCT FROM OLD.entity_id OR OLD.entity_type = 'user' AND NEW.entity_id = '[erased]') THEN
      RETURN NEW;
    END IF;
  END IF;
  IF current_user = 'noti_retention'
     OR pg_has_role(current_user, to_regrole('noti_retention'), 'USAGE')
        AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
    RETURN CASE WHEN TG_OP = 'UPDATE' THEN NEW ELSE OLD END;
  END IF;
  -- A tenant that the owner is removing takes its lines along.
  IF TG_OP = 'DELETE' AND pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
    IF EXISTS (SELECT FROM noti.tenants t WHERE t.tenant_id = OLD.tenant_id AND t.status = 'removing') THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION 'noti: the audit log is append-only. Only the role noti_retention may change it.' USING ERRCODE = 'insufficient_privilege';
END $$;
