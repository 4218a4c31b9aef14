-- Give rows that are under a cap their places among the messages of a person and category, and tell of those that find none when to
-- ask again, and whether that is `settled`: what is still on its way may give its place back. Exact whoever asks beside: who counts a
-- person holds the lock until its places can be seen. What failed, was dropped or is held gives its place back by being so; what was
-- sent holds it for the length of the cap, whatever is not finished until it is.
CREATE OR REPLACE FUNCTION noti.take_places(ids bigint[], tenants text[], categories text[], persons bytea[], amounts int[], everys interval[])
  RETURNS TABLE (id bigint, again_at timestamptz, settled boolean)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  one  record;
  free timestamptz[];
  sent int;
BEGIN
  FOR one IN
    SELECT w.*, hashtextextended(concat_ws(chr(31), w.tenant_id, w.category, encode(w.person, 'hex')), 7700163) AS lock
      FROM unnest(ids, tenants, categories, persons, amounts, everys) AS w (id, tenant_id, category, person, amount, every)
     ORDER BY lock, w.id   -- two that ask for the same persons never wait for each other
  LOOP
    PERFORM pg_advisory_xact_lock(one.lock);
    SELECT array_agg(taken.frees_at ORDER BY taken.frees_at), count(*) FILTER (WHERE taken.sent) INTO free, sent
      FROM (SELECT CASE WHEN n.status IS NULL OR n.status = 'unknown' THEN p.taken_at + one.every
                        WHEN n.status = 'sent' THEN n.sent_at + one.every
                        WHEN n.finished_at IS NULL AND n.held_at IS NULL THEN greatest(n.due_at, clock_timestamp()) + interval '10 seconds'
                   END AS frees_at,
                   n.status IS NULL OR n.status IN ('sent', 'unknown') AS sent
              FROM noti.cap_places p
              LEFT JOIN LATERAL (SELECT l.status, l.sent_at, l.finished_at, l.held_at, l.due_at FROM noti.notifications_log l
                                  WHERE l.notification_id = p.notification_id LIMIT 1) AS n ON true
             WHERE p.person = one.person AND p.tenant_id = one.tenant_id AND p.category = one.category AND p.notification_id <> one.id) AS taken
     WHERE taken.frees_at > clock_timestamp();
    IF coalesce(cardinality(free), 0) < one.amount THEN
      INSERT INTO noti.cap_places AS p (person, tenant_id, category, notification_id)
      VALUES (one.person, one.tenant_id, one.category, one.id)
      ON CONFLICT ON CONSTRAINT cap_places_pkey DO UPDATE SET taken_at = clock_timestamp();
    ELSE
      DELETE FROM noti.cap_places p
       WHERE p.person = one.person AND p.tenant_id = one.tenant_id AND p.category = one.category AND p.notification_id = one.id;
      id := one.id;
      again_at := free[cardinality(free) - one.amount + 1];
      settled := sent >= one.amount;
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;
