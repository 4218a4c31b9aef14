-- An audit line for each change of an account, a route or a secret (never what it holds), and news of it to the workers. An account in
-- trouble is tried at once after a change: that may have mended it.
CREATE OR REPLACE FUNCTION noti.on_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was   constant jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
  is_   constant jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
  line  constant jsonb := coalesce(is_, was);
  kind  constant text  := CASE TG_TABLE_NAME WHEN 'accounts' THEN 'account' WHEN 'routes' THEN 'route' ELSE 'secret' END;
  whose constant text  := line->>'tenant_id';
  named constant text  := CASE kind WHEN 'account' THEN line->>'name' ELSE line->>'account' END;
  other constant boolean := TG_OP <> 'UPDATE' OR kind <> 'secret' OR was->'version' IS DISTINCT FROM is_->'version';
BEGIN
  IF kind = 'account' AND TG_OP = 'UPDATE' AND was - 'version' = is_ - 'version' THEN
    RETURN NULL;   -- one of its secrets was set: told there
  END IF;
  PERFORM pg_advisory_xact_lock(7700161);
  IF kind = 'secret' AND other THEN
    UPDATE noti.accounts a SET version = 0 WHERE a.tenant_id = whose AND a.name = named;
  END IF;
  INSERT INTO noti.account_versions AS v (tenant_id, version) VALUES (whose, nextval('noti.versions'))
  ON CONFLICT ON CONSTRAINT account_versions_pkey DO UPDATE SET version = EXCLUDED.version;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (whose, kind,
          CASE kind WHEN 'account' THEN named WHEN 'secret' THEN named || ':' || (line->>'purpose') ELSE line->>'channel' END,
          kind || CASE WHEN TG_OP = 'DELETE' THEN '_removed' WHEN NOT other THEN '_sealed_anew' ELSE '_set' END, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', coalesce(is_->'set_by', to_jsonb(nullif(current_setting('noti.person', true), ''))),
            'provider', line->'provider', 'enabled', line->'enabled', 'key', line->'key_id', 'account', line->'account',
            'position', line->'position')));
  UPDATE noti.circuits c SET retry_at = clock_timestamp()
   WHERE kind <> 'route' AND other AND c.scope = 'account' AND c.tenant_id = '' AND c.name = whose || '/' || named
     AND c.state = 'open' AND c.retry_at > clock_timestamp();
  IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND pg_notification_queue_usage() < 0.5 THEN   -- a full queue would refuse the commit
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
