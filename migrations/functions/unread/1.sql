-- How many messages a person has not read yet.
CREATE OR REPLACE FUNCTION noti.unread(recipient text, tenant_id text DEFAULT 'default') RETURNS bigint
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT count(*) FROM noti.inbox i WHERE i.tenant_id = unread.tenant_id AND i.recipient = unread.recipient AND i.read_at IS NULL);
END $$;
