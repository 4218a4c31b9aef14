-- How vacuum keeps up with each of our tables.
SELECT c.relname AS relation,
       coalesce((SELECT o.option_value IN ('off', 'false', 'no', '0')
                   FROM pg_options_to_table(c.reloptions) AS o
                  WHERE o.option_name = 'autovacuum_enabled'), false) AS off,
       coalesce(s.n_live_tup, 0) AS live,
       coalesce(s.n_dead_tup, 0) AS dead,
       extract(epoch FROM now() - greatest(s.last_autovacuum, s.last_vacuum))::float8 AS vacuumed_seconds,
       age(c.relfrozenxid) AS frozen_age
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
 WHERE n.nspname = 'noti' AND c.relkind = 'r'
 ORDER BY c.relname;
