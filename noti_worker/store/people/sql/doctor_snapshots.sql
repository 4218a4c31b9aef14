-- Who keeps vacuum from removing dead rows: sessions, prepared transactions and replication slots, the oldest first.
--
-- A plain session of another database does not count. What another role does is hidden from a role without
-- pg_read_all_stats: `hidden` counts these sessions.
SELECT holder.*, hidden.sessions AS hidden
  FROM (SELECT count(*) AS sessions
          FROM pg_stat_activity a
         WHERE a.datname = current_database() AND a.query = '<insufficient privilege>') AS hidden
  LEFT JOIN LATERAL (
       SELECT 'session' AS kind,
              cast(a.pid AS text) AS name,
              concat_ws(', ', nullif(a.application_name, ''), 'role ' || a.usename, a.state) AS about,
              extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
              greatest(age(a.backend_xmin), age(a.backend_xid)) AS transactions,
              true AS active
         FROM pg_stat_activity a
        WHERE coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL
          AND a.pid <> pg_backend_pid()
          AND (a.datname = current_database() AND a.backend_type <> 'autovacuum worker' OR a.backend_type = 'walsender')
       UNION ALL
       SELECT 'prepared', p.gid, 'role ' || p.owner,
              extract(epoch FROM clock_timestamp() - p.prepared)::float8, age(p.transaction), false
         FROM pg_prepared_xacts p
        WHERE p.database = current_database()
       UNION ALL
       SELECT 'slot', s.slot_name, s.slot_type, NULL, greatest(age(s.xmin), age(s.catalog_xmin)), s.active
         FROM pg_replication_slots s
        WHERE coalesce(s.xmin, s.catalog_xmin) IS NOT NULL
        ORDER BY transactions DESC, seconds DESC NULLS LAST
        LIMIT 100
       ) AS holder ON true;
