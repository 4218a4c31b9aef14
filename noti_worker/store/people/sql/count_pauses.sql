-- How many pauses of each scope are in force, and for how many seconds the oldest of them has been.
SELECT p.scope, count(*) AS pauses, extract(epoch FROM clock_timestamp() - min(p.created_at))::float8 AS seconds
  FROM noti.pauses p
 WHERE p.until IS NULL OR p.until > clock_timestamp()
 GROUP BY 1;
