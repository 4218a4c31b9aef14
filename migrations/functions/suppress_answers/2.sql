-- What providers have answered, in this very transaction, to those of the notifications that failed: dead addresses and opt-outs.
-- In the order of the index, so that two workers that learn of the same addresses never wait for each other crosswise. An opt-out
-- that speaks of the message alone is one from its category. A 5.7.x speaks of us and never of the address, whatever a rule makes
-- of it: one listing of ours would cost all addresses otherwise.
CREATE OR REPLACE FUNCTION noti.suppress_answers(ids bigint[]) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT n.tenant_id, n.channel, reached.address, n.notification_id, answer.kind, CASE WHEN answer.scope = 'message' THEN n.category END AS category
      FROM unnest(ids) AS failed (id)
     CROSS JOIN LATERAL (
           SELECT l.notification_id, l.tenant_id, l.channel, l.recipient, l.category, l.claim_count
             FROM noti.notifications_log l WHERE l.notification_id = failed.id AND l.failed_at = now() LIMIT 1) AS n
     CROSS JOIN LATERAL (
           SELECT t.kind, t.scope, t.code, t.response_data
             FROM noti.notification_attempts_log t
            WHERE t.notification_id = failed.id AND t.claim_count = n.claim_count AND t.status = 'failed' LIMIT 1) AS answer
     CROSS JOIN LATERAL (
           -- a person's address, and a number that the row has as it is dialled in its country
           SELECT CASE WHEN n.recipient LIKE 'user:%' THEN coalesce(answer.response_data ->> 'address', n.recipient)
                       WHEN n.channel IN ('sms', 'voice', 'whatsapp') THEN coalesce(answer.response_data ->> 'dialled', n.recipient)
                       ELSE n.recipient END) AS reached (address)
     CROSS JOIN LATERAL (SELECT noti.address_hash(n.channel, reached.address)) AS known (hash)
     WHERE answer.kind IN ('dead', 'optout') AND known.hash IS NOT NULL
       AND (n.channel <> 'email' OR answer.code !~ '(^|[^0-9.])[45][.]7[.]')
     ORDER BY known.hash, n.tenant_id, n.channel, coalesce(CASE WHEN answer.scope = 'message' THEN n.category END, '') COLLATE "C", answer.kind COLLATE "C"
  LOOP
    PERFORM noti.suppress(one.tenant_id, one.channel, one.address, one.kind, one.category, 'answer', one.notification_id);
    IF one.kind = 'dead' THEN
      PERFORM noti.contact_left(one.tenant_id, one.channel, one.address, 'dead, as was answered to notification ' || one.notification_id::text);
    END IF;
  END LOOP;
END $$;
