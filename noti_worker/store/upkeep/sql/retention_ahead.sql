-- How many months of each log are ready, this one included, counted until the first that is missing, up to :months.
\set months 5
SELECT log.log, coalesce(min(month.n) FILTER (WHERE p.partition IS NULL), cast(:months AS int))::int AS ready
  FROM unnest(array['notification_attempts_log', 'audit_log']) AS log (log)
 CROSS JOIN generate_series(0, cast(:months AS int) - 1) AS month (n)
  LEFT JOIN noti.log_partitions() p
         ON p.log = log.log
        AND p.from_at <= date_trunc('month', now(), 'UTC') + month.n * interval '1 month'
        AND p.to_at > date_trunc('month', now(), 'UTC') + month.n * interval '1 month'
 GROUP BY 1;
