-- Rows that gathered until the end of their window become one message each group, and end with the number of the message that carries
-- them; the message knows them. One that is alone goes out as it is. All of a group in this transaction: what fails or is rolled back
-- leaves it as it was. Any number of workers may call it, one at a time has a group. Not before `since` is looked for what is due: the
-- dead entries of the index before that are not walked again. `seen` is where the next look may begin, `next_at` when the next is due.
CREATE OR REPLACE FUNCTION noti.close_digests(most int, since timestamptz)
  RETURNS TABLE (closed int, seen timestamptz, next_at timestamptz)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  began    constant timestamptz := clock_timestamp();
  together constant int := 5000;      -- in one message
  room     constant int := 200000;    -- bytes of what they hold: a row's data may have 256 kB
  told     constant boolean := EXISTS (SELECT FROM noti.endpoints);
  g        record;
  newest   noti.notifications_log;
  digest   jsonb;
  present  int;
  ends_at  timestamptz;
  wanted   int;
  ids      bigint[];
  gone     bigint[];
  items    jsonb;
  texts    text;
  kept     int;
  total    int;
  template text;
  ours     boolean;
  id       bigint;
  spent    int := 0;
BEGIN
  closed := 0;
  PERFORM set_config('noti.closing', 'on', true);
  FOR g IN
    SELECT d.tenant_id, d.channel, d.recipient, d.digest_key, min(d.due_at) AS due_at,
           hashtextextended(d.tenant_id || chr(31) || d.channel || chr(31) || d.digest_key || chr(31) || d.recipient, 0) AS hash
      FROM (SELECT x.tenant_id, x.channel, x.recipient, x.digest_key, x.due_at
              FROM noti.notifications_log x
             WHERE x.digest_key IS NOT NULL AND x.finished_at IS NULL AND x.held_at IS NOT NULL
               AND x.due_at >= since AND x.due_at <= clock_timestamp() AND x.status = 'gathering'
             ORDER BY x.due_at
             LIMIT most) AS d
     GROUP BY 1, 2, 3, 4
     ORDER BY 5
  LOOP
    EXIT WHEN spent >= together;
    CONTINUE WHEN NOT pg_try_advisory_xact_lock(7700163, hashtext(g.hash::text));
    ids := NULL;
    BEGIN
      SELECT x.* INTO newest
        FROM noti.notifications_log x
       WHERE hashtextextended(x.tenant_id || chr(31) || x.channel || chr(31) || x.digest_key || chr(31) || x.recipient, 0) = g.hash
         AND x.digest_key IS NOT NULL AND x.finished_at IS NULL AND x.held_at IS NOT NULL AND x.status = 'gathering'
         AND (x.tenant_id, x.channel, x.digest_key, x.recipient) = (g.tenant_id, g.channel, g.digest_key, g.recipient)
       ORDER BY x.notification_id DESC
       LIMIT 1;
      CONTINUE WHEN NOT FOUND;
      digest := coalesce(newest.options -> 'digest', '{}');
      ours := g.digest_key LIKE 'noti.%';   -- a person's wish: the application knows of no digest
      SELECT count(*), CASE WHEN digest ? 'quiet_for' THEN newest.send_at ELSE min(f.ends_at) END INTO present, ends_at
        FROM (SELECT coalesce(x.send_at, x.due_at) AS ends_at
                FROM noti.notifications_log x
               WHERE hashtextextended(x.tenant_id || chr(31) || x.channel || chr(31) || x.digest_key || chr(31) || x.recipient, 0) = g.hash
                 AND x.digest_key IS NOT NULL AND x.finished_at IS NULL AND x.held_at IS NOT NULL AND x.status = 'gathering'
                 AND (x.tenant_id, x.channel, x.digest_key, x.recipient) = (g.tenant_id, g.channel, g.digest_key, g.recipient)
               LIMIT 2 * together) AS f;
      wanted := coalesce((digest ->> 'most')::int, together);
      IF ours THEN
        ends_at := g.due_at;
      END IF;
      IF ends_at > clock_timestamp() AND present < wanted THEN
        -- others came meanwhile: it is looked at again when these have been without another for so long
        UPDATE noti.notifications_log x SET next_retry_at = ends_at
         WHERE x.notification_id = ANY (ARRAY(
               SELECT y.notification_id
                 FROM noti.notifications_log y
                WHERE hashtextextended(y.tenant_id || chr(31) || y.channel || chr(31) || y.digest_key || chr(31) || y.recipient, 0) = g.hash
                  AND y.digest_key IS NOT NULL AND y.finished_at IS NULL AND y.held_at IS NOT NULL AND y.status = 'gathering'
                  AND (y.tenant_id, y.channel, y.digest_key, y.recipient) = (g.tenant_id, g.channel, g.digest_key, g.recipient)
                  AND y.due_at <= clock_timestamp()
                  FOR NO KEY UPDATE SKIP LOCKED));
        CONTINUE;
      END IF;

      SELECT array_agg(d.notification_id ORDER BY d.notification_id) FILTER (WHERE d.expires_at IS NULL OR d.expires_at > clock_timestamp()),
             array_agg(d.notification_id) FILTER (WHERE d.expires_at <= clock_timestamp())
        INTO ids, gone
        FROM (SELECT x.notification_id, x.expires_at
                FROM noti.notifications_log x
               WHERE hashtextextended(x.tenant_id || chr(31) || x.channel || chr(31) || x.digest_key || chr(31) || x.recipient, 0) = g.hash
                 AND x.digest_key IS NOT NULL AND x.finished_at IS NULL AND x.held_at IS NOT NULL AND x.status = 'gathering'
                 AND (x.tenant_id, x.channel, x.digest_key, x.recipient) = (g.tenant_id, g.channel, g.digest_key, g.recipient)
               ORDER BY x.notification_id
               LIMIT wanted
                 FOR NO KEY UPDATE SKIP LOCKED) AS d;
      IF gone IS NOT NULL THEN
        UPDATE noti.notifications_log x
           SET status = 'expired', finished_at = clock_timestamp(), held_at = NULL, updated_at = clock_timestamp()
         WHERE x.notification_id = ANY (gone);
        INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
        SELECT g.tenant_id, 'notification', i::text, 'notification_expired', 'worker', noti.actor(), '{"reason": "it expired before its digest went out"}'
          FROM unnest(gone) AS i;
        IF told THEN
          PERFORM noti.tell(x.notification_id, x.tenant_id, x.channel, x.category, 'expired', 'worker')
             FROM noti.notifications_log x WHERE x.notification_id = ANY (gone);
        END IF;
      END IF;
      CONTINUE WHEN ids IS NULL;
      total := cardinality(ids);
      spent := spent + total;
      SELECT x.* INTO newest FROM noti.notifications_log x WHERE x.notification_id = ids[total];
      digest := coalesce(newest.options -> 'digest', '{}');
      template := coalesce(digest ->> 'template',
                           (SELECT t.template_id FROM noti.templates t WHERE t.tenant_id = g.tenant_id AND t.template_id = newest.template_id || '-digest'),
                           CASE WHEN NOT ours THEN newest.template_id END);

      IF total = 1 OR template IS NULL AND newest.template_id IS NOT NULL THEN
        UPDATE noti.notifications_log x
           SET status = 'pending', held_at = NULL, next_retry_at = NULL, options = nullif(x.options - 'digest', '{}'),
               updated_at = clock_timestamp()
         WHERE x.notification_id = ANY (ids);
        INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
        SELECT g.tenant_id, 'notification', i::text, 'notification_released', 'worker', noti.actor(),
               jsonb_build_object('reason', CASE WHEN total = 1 THEN 'nothing else gathered: it goes out as it is'
                                                 ELSE 'there is no template ' || newest.template_id || '-digest: it goes out as it is' END)
          FROM unnest(ids) AS i;
        closed := closed + 1;
        CONTINUE;
      END IF;

      -- the newest that fit; the others are counted
      SELECT coalesce(jsonb_agg(k.item ORDER BY k.notification_id), '[]'), count(*),
             string_agg(concat_ws(E'\n', k.subject, k.body), E'\n\n' ORDER BY k.notification_id)
        INTO items, kept, texts
        FROM (SELECT i.*, sum(greatest(octet_length(i.item::text), pg_column_size(i.item)) + coalesce(octet_length(i.body), 0))
                              OVER (ORDER BY i.notification_id DESC) AS size
                FROM (SELECT x.notification_id, x.body, x.subject,
                             jsonb_strip_nulls(jsonb_build_object('id', x.notification_id, 'created_at', x.created_at, 'entity_type', x.entity_type,
                               'entity_id', x.entity_id, 'subject', x.subject, 'body', x.body)) || jsonb_build_object('data', coalesce(x.template_data, '{}')) AS item
                        FROM noti.notifications_log x WHERE x.notification_id = ANY (ids)) AS i) AS k
       WHERE k.size <= room;
      INSERT INTO noti.notifications_log (tenant_id, channel, recipient, priority, category, locale, provider, on_uncertain, max_retries, options, expires_at,
             template_id, template_version, template_data, subject, body, digest_key)
      SELECT g.tenant_id, g.channel, g.recipient, newest.priority, newest.category, newest.locale, newest.provider, newest.on_uncertain,
             CASE WHEN newest.retries_said THEN newest.max_retries END, nullif(newest.options - 'digest', '{}'),
             CASE WHEN count(x.expires_at) = total THEN max(x.expires_at) END,
             template, CASE WHEN template = newest.template_id THEN newest.template_version END,
             jsonb_build_object('items', items, 'count', total, 'left_out', total - kept),
             coalesce(digest ->> 'subject', newest.subject),
             CASE WHEN template IS NULL THEN concat_ws(E'\n\n', texts, CASE WHEN kept < total THEN '(+ ' || (total - kept)::text || ')' END) END, g.digest_key
        FROM noti.notifications_log x WHERE x.notification_id = ANY (ids)
      RETURNING notification_id INTO id;
      UPDATE noti.notifications_log x
         SET status = 'suppressed', finished_at = clock_timestamp(), held_at = NULL, updated_at = clock_timestamp()
       WHERE x.notification_id = ANY (ids);
      INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
      SELECT g.tenant_id, 'notification', i::text, 'notification_suppressed', 'worker', noti.actor(),
             jsonb_build_object('reason', 'gathered: it goes out within notification ' || id::text, 'into', id)
        FROM unnest(ids) AS i
      UNION ALL
      SELECT g.tenant_id, 'notification', id::text, 'notification_gathered', 'worker', noti.actor(),
             jsonb_build_object('reason', 'made of ' || total::text || ' notifications: ' || array_to_string(ids[1:100], ', ')
               || CASE WHEN total > 100 THEN ' and ' || (total - 100)::text || ' more' ELSE '' END
               || CASE WHEN kept < total THEN '; the ' || (total - kept)::text || ' oldest did not fit and are only counted' ELSE '' END,
               'of', to_jsonb(ids[1:1000]));
      IF told THEN
        PERFORM noti.tell(x.notification_id, x.tenant_id, x.channel, x.category, 'suppressed', 'worker')
           FROM noti.notifications_log x WHERE x.notification_id = ANY (ids);
      END IF;
      closed := closed + 1;
    EXCEPTION
      WHEN deadlock_detected OR lock_not_available OR serialization_failure OR insufficient_resources THEN
        NULL;   -- it is tried again
      WHEN OTHERS THEN   -- what cannot be one message goes out one by one, and stops nobody else
        ids := coalesce(ids, ARRAY(
          SELECT x.notification_id
            FROM noti.notifications_log x
           WHERE hashtextextended(x.tenant_id || chr(31) || x.channel || chr(31) || x.digest_key || chr(31) || x.recipient, 0) = g.hash
             AND x.digest_key IS NOT NULL AND x.finished_at IS NULL AND x.held_at IS NOT NULL AND x.status = 'gathering'
             AND (x.tenant_id, x.channel, x.digest_key, x.recipient) = (g.tenant_id, g.channel, g.digest_key, g.recipient)
             FOR NO KEY UPDATE SKIP LOCKED));
        UPDATE noti.notifications_log x
           SET status = 'pending', held_at = NULL, next_retry_at = NULL, options = nullif(x.options - 'digest', '{}'),
               updated_at = clock_timestamp()
         WHERE x.notification_id = ANY (ids) AND x.status = 'gathering';
        INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
        SELECT g.tenant_id, 'notification', i::text, 'notification_released', 'worker', noti.actor(),
               jsonb_build_object('reason', 'its digest could not be made, so it goes out as it is: ' || left(noti.masked(SQLERRM, g.recipient), 500))
          FROM unnest(ids) AS i;
        closed := closed + 1;
    END;
  END LOOP;
  PERFORM set_config('noti.closing', '', true);
  SELECT x.due_at INTO next_at
    FROM noti.notifications_log x
   WHERE x.digest_key IS NOT NULL AND x.finished_at IS NULL AND x.held_at IS NOT NULL AND x.due_at >= since AND x.status = 'gathering'
   ORDER BY x.due_at
   LIMIT 1;
  -- what committed late may lie before: from time to time it is looked for from the beginning
  seen := CASE WHEN closed = 0 THEN least(began - interval '2 seconds', coalesce(next_at, began)) ELSE nullif(since, '-infinity') END;
  RETURN NEXT;
END $$;
