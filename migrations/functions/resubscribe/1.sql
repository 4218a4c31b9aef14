-- It was a mistake: take back what the link did, within a day and ten times a day, for a link can be passed on. True when no opt-out
-- keeps the category from the address any more.
CREATE OR REPLACE FUNCTION noti.resubscribe(tenant_id text, channel text, address_hash bytea, category text)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  entry bigint;
BEGIN
  FOR entry IN
    SELECT s.suppression_id FROM noti.suppressions s
     WHERE s.address_hash = resubscribe.address_hash AND s.tenant_id = resubscribe.tenant_id AND s.channel = resubscribe.channel
       AND s.category = resubscribe.category AND s.reason = 'optout' AND s.lifted_at IS NULL
       AND s.source = 'unsubscribe' AND s.reported_at > clock_timestamp() - interval '1 day'
       AND (SELECT count(*) FROM noti.suppressions l
             WHERE l.address_hash = resubscribe.address_hash AND l.tenant_id = resubscribe.tenant_id AND l.channel = resubscribe.channel
               AND l.category = resubscribe.category AND l.lifted_at > clock_timestamp() - interval '1 day') < 10
  LOOP
    PERFORM noti.lift(entry, 'unsubscribe', 'the person, on the page of the link');
  END LOOP;
  RETURN NOT EXISTS (
    SELECT FROM noti.suppressions s
     WHERE s.address_hash = resubscribe.address_hash AND s.tenant_id IN (resubscribe.tenant_id, '') AND s.channel = resubscribe.channel
       AND s.category IN (resubscribe.category, '') AND s.reason = 'optout' AND s.lifted_at IS NULL
       AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp()));
END $$;
