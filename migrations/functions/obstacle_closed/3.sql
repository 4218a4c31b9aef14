-- What is closed and keeps it back: pauses, and circuits of the accounts that may send it. After an uncertain try the account that
-- made it does so alone: only it can tell whether it took the message (`code` witness).
CREATE OR REPLACE FUNCTION noti.obstacle_closed(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH whole AS MATERIALIZED (SELECT c.* FROM noti.closed_by(n) AS c),
  shut AS MATERIALIZED (
    SELECT c.* FROM noti.closures c WHERE c.scope = 'account' OR c.scope = 'tenant account' AND c.tenant_id = n.tenant_id),
  last AS MATERIALIZED (
    SELECT t.account, t.kind
      FROM noti.notification_attempts_log t
     WHERE t.notification_id = n.notification_id AND t.status NOT IN ('lost', 'stale') AND EXISTS (SELECT FROM shut)
     ORDER BY t.log_id DESC
     LIMIT 1)
  SELECT o.cause, o.scope, o.name, o.since, o.until, o.by, o.words, o.code
    FROM (
         SELECT c.cause, c.scope, nullif(c.name, '') AS name, c.since, c.until, c.by, noti.closure_words(c) AS words, NULL::text AS code, c.tenant_id
           FROM whole AS c
         UNION ALL
         SELECT s.cause, s.scope, s.name, s.since, s.until, s.by,
                noti.closure_words(s) || ', and only that account can tell whether it took the message already', 'witness', s.tenant_id
           FROM shut AS s
           JOIN last AS l ON l.account = s.name AND l.kind = 'uncertain'
          WHERE NOT EXISTS (SELECT FROM whole) AND s.name IN (SELECT a.account FROM noti.accounts_for(n) AS a)
         ) AS o
   ORDER BY o.since, o.scope, o.tenant_id, o.name
$$;
