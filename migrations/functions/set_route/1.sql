-- Let a tenant's channel go through these accounts of its own, in failover order; where one is NULL the installation's route goes on, and
-- without any the route is removed. As a function, since whoever may delete from a table may also lock it and stop the workers.
CREATE OR REPLACE FUNCTION noti.set_route(tenant text, channel text, accounts text[]) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM noti.check_tenant(set_route.tenant);
  DELETE FROM noti.routes r WHERE r.tenant_id = set_route.tenant AND r.channel = set_route.channel;
  INSERT INTO noti.routes (tenant_id, channel, position, account)
  SELECT set_route.tenant, set_route.channel, step.position, step.account
    FROM unnest(set_route.accounts) WITH ORDINALITY AS step (account, position);
END $$;
