-- What happens next and when, as one sentence: the words of the obstacles, joined.
CREATE OR REPLACE FUNCTION noti.next_step(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH found AS MATERIALIZED (SELECT o.* FROM noti.obstacles(n) WITH ORDINALITY AS o (cause, scope, name, since, until, by, words, code, place)),
  told AS (
    SELECT string_agg(f.words, '' ORDER BY f.place) FILTER (WHERE f.cause IN ('held', 'unknown', 'gathering', 'in_flight')) AS rests,
           string_agg(f.words, ', and ' ORDER BY f.place) FILTER (WHERE f.cause IN ('pause', 'circuit', 'limit', 'quota', 'suspended')) AS closed,
           min(f.words) FILTER (WHERE f.cause = 'lost_claim') AS lost,
           min(f.words) FILTER (WHERE f.cause = 'expired') AS expired,
           min(f.words) FILTER (WHERE f.cause = 'not_due') AS not_due,
           coalesce(min(f.words) FILTER (WHERE f.cause = 'locked'), min(f.words) FILTER (WHERE f.cause = 'refused'),
                    min(f.words) FILTER (WHERE f.cause = 'ahead')) AS first,
           string_agg('; but ' || f.words, '' ORDER BY f.place) FILTER (WHERE f.cause IN ('no_worker', 'unable', 'unserved')) AS nobody,
           string_agg('; but ' || f.words, '' ORDER BY f.place) FILTER (WHERE f.cause = 'safe_mode') AS safe,
           'try ' || (n.attempt_count + 1)::text AS try,
           -- How many there may be is the channel's matter when the row does not say.
           CASE WHEN n.retry_count = 0 THEN ''
                WHEN n.retries_said THEN ' (retry ' || n.retry_count::text || ' of ' || n.max_retries::text || ')'
                ELSE ' (retry ' || n.retry_count::text || ')' END
           || CASE WHEN n.attempt_count > 0 AND n.finished_at IS NULL AND noti.may_have_arrived(n.notification_id)
                   THEN '; an earlier try may have arrived, then this is a second message' ELSE '' END AS retries
      FROM found f)
  SELECT CASE
      WHEN n.finished_at IS NOT NULL THEN 'nothing: ' || noti.after_end(n)
      WHEN t.rests IS NOT NULL THEN t.rests || coalesce('; ' || t.first, '')
      WHEN t.closed IS NOT NULL AND t.lost IS NULL AND t.expired IS NOT NULL THEN
        'it expired at ' || noti.instant(n.expires_at) || ' and is written off, not sent, once this is over: ' || t.closed
      WHEN t.closed IS NOT NULL THEN t.try || ' waits: ' || t.closed
                           || CASE WHEN t.not_due IS NOT NULL THEN '; due ' || t.not_due ELSE '; due since ' || noti.instant(n.due_at) END
                           || coalesce('; expires at ' || noti.instant(n.expires_at), '') || t.retries
      WHEN t.lost IS NOT NULL THEN t.lost
      WHEN t.expired IS NOT NULL THEN t.expired
      WHEN t.not_due IS NOT NULL THEN t.try || ' ' || t.not_due || t.retries
      ELSE t.try || ' is due since ' || noti.instant(n.due_at)
           || CASE WHEN t.first IS NOT NULL THEN ': ' || t.first WHEN t.nobody IS NULL THEN ': the next free worker takes it' ELSE '' END || t.retries
    END || coalesce(t.nobody, '') || coalesce(t.safe, '')
  FROM told t
$$;
