-- What a tenant sent in the month of that day, by its own clock (setting zone, else UTC): messages that an account took, by channel and
-- account, and all tries that it cost. As exact as what is kept: a month counts while its notifications and tries are there.
CREATE OR REPLACE FUNCTION noti.usage_report(tenant text, month date)
  RETURNS TABLE (channel text, account text, provider text, sent bigint, tries bigint, first_at timestamptz, last_at timestamptz)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  zone   constant text := coalesce(noti.setting(usage_report.tenant, 'zone') #>> '{}', 'UTC');
  begins constant timestamptz := date_trunc('month', usage_report.month::timestamp) AT TIME ZONE zone;
  ends   constant timestamptz := (date_trunc('month', usage_report.month::timestamp) + interval '1 month') AT TIME ZONE zone;
BEGIN
  RETURN QUERY
    SELECT n.channel, t.account, t.provider, count(*) FILTER (WHERE t.status = 'sent'), count(*), min(t.created_at), max(t.created_at)
      FROM noti.notifications_log n
      JOIN noti.notification_attempts_log t ON t.notification_id = n.notification_id
     WHERE n.tenant_id = usage_report.tenant AND n.created_at < ends
       AND t.created_at >= begins AND t.created_at < ends AND t.status NOT IN ('lost', 'stale')
     GROUP BY n.channel, t.account, t.provider
     ORDER BY n.channel, t.account, t.provider;
END $$;
