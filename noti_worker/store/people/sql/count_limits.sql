-- The part of its rate that each limited account has, and how many quotas are nearly or wholly used in this day or month, where any is.
SELECT 'pace' AS what, a.name, a.pace AS value
  FROM noti.allowance() a
 WHERE a.scope = 'account'
UNION ALL
SELECT 'quotas', CASE WHEN u.taken < u.amount THEN 'nearly' ELSE 'spent' END, count(*)::float8
  FROM noti.usage u
 WHERE u.until > clock_timestamp() AND u.taken >= 0.8 * u.amount
 GROUP BY 2;
