-- Have the open circuits of these accounts probed now, because their configuration was read anew: but no sooner than a minute
-- after their last probe or their opening, so that workers that start again and again do not try again and again.
CREATE OR REPLACE FUNCTION noti.hasten_probes(accounts text[]) RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  WITH hastened AS (
    UPDATE noti.circuits c
       SET retry_at = greatest(clock_timestamp(), least(c.retry_at, coalesce(c.probed_at, c.opened_at) + interval '1 minute'))
     WHERE c.scope = 'account' AND c.tenant_id = '' AND c.name = ANY (hasten_probes.accounts) AND c.state = 'open'
       AND c.retry_at > clock_timestamp()
    RETURNING 1)
  SELECT count(*) FROM hastened
$$;
