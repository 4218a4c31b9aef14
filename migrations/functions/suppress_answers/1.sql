-- What providers answered to tries that are being recorded: dead addresses and opt-outs. In the order of the index, so that two
-- workers that learn of the same addresses never wait for each other. An opt-out that speaks of the message alone is one from its
-- category. A 5.7.x speaks of us and never of the address, whatever a rule makes of it: one listing of ours would cost all
-- addresses otherwise.
CREATE OR REPLACE FUNCTION noti.suppress_answers(ids bigint[], kinds text[], scopes text[], codes text[]) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT n.tenant_id, n.channel, n.recipient, n.notification_id, answer.kind, CASE WHEN answer.scope = 'message' THEN n.category END AS category
      FROM unnest(ids, kinds, scopes, codes) AS answer (id, kind, scope, code)
     CROSS JOIN LATERAL (
           SELECT l.tenant_id, l.channel, l.recipient, l.notification_id, l.category, noti.address_hash(l.channel, l.recipient) AS hash
             FROM noti.notifications_log l WHERE l.notification_id = answer.id LIMIT 1) AS n
     WHERE n.hash IS NOT NULL AND (n.channel <> 'email' OR answer.code !~ '(^|[^0-9.])[45][.]7[.]')
     ORDER BY n.hash, n.tenant_id, n.channel, coalesce(CASE WHEN answer.scope = 'message' THEN n.category END, '') COLLATE "C", answer.kind COLLATE "C"
  LOOP
    PERFORM noti.suppress(one.tenant_id, one.channel, one.recipient, one.kind, one.category, 'answer', one.notification_id);
  END LOOP;
END $$;
