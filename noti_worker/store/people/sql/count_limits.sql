-- The part of its rate that each limited account has, and how many quotas are nearly or wholly used in this day or month.
SELECT 'pace' AS what, a.name, a.pace AS value
  FROM noti.allowance() a
 WHERE a.scope = 'account'
UNION ALL
SELECT 'quotas', s.state, count(u.taken) FILTER (WHERE (u.taken >= u.amount) = (s.state = 'spent'))::float8
  FROM unnest(ARRAY['nearly', 'spent']) AS s (state)
  LEFT JOIN noti.usage u ON u.until > clock_timestamp() AND u.taken >= 0.8 * u.amount
 GROUP BY 2;
