-- The accounts of living workers that may send a row: those of its channel's route, or those that it asks for, by their name or by
-- that of their provider.
CREATE OR REPLACE FUNCTION noti.accounts_for(n noti.notifications_log) RETURNS TABLE (account text, provider text, mode text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.account, r.provider, r.mode
    FROM noti.living_routes r
   WHERE r.channel = n.channel
     AND (n.provider IS NULL OR n.provider = r.account
          OR n.provider = r.provider
             AND NOT EXISTS (SELECT FROM noti.living_routes o
                              WHERE o.worker_id = r.worker_id AND o.channel = r.channel AND o.account = n.provider))
$$;
