-- True; or the insert of such a row is refused, in words, because what was sent and what waits make up a quota that refuses more.
CREATE OR REPLACE FUNCTION noti.within_quota(tenant text, channel text) RETURNS boolean
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  quota noti.full_quotas;
BEGIN
  SELECT f.* INTO quota FROM noti.full_quotas f
   WHERE f.tenant_id = within_quota.tenant AND f.channel = within_quota.channel AND f.until > clock_timestamp()
   ORDER BY f.until DESC LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'noti: the % % of this % for the tenant % are used up, together with what waits. Try again after %, or ask for more.',
      quota.amount, quota.channel, quota.period, quota.tenant_id, noti.instant(quota.until)
      USING ERRCODE = 'check_violation', CONSTRAINT = 'quota_used_up';
  END IF;
  RETURN true;
END $$;
