-- Take over what providers told, a JSON array of receipts and replies, and look again for the notifications of those that are parked:
-- nothing was known of them yet, or somebody held the row. Each event counts once, however often it is told. Bad news goes into the
-- notification, a dead address, a complaint and an opt-out into the suppression list, and so does an address at the third day of soft
-- bounces within a month. Gives what became of each: matched, parked, given up, known or heard.
CREATE OR REPLACE FUNCTION noti.receive(document json) RETURNS TABLE (provider text, kind text, fate text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  one   record;
  n     record;
  there boolean;
  bad   boolean;
  own   boolean;
  ready boolean;
  person boolean;
  said  timestamptz;
  id    bigint;
  news  bigint[] := '{}';
  days  int;
  heard constant boolean := EXISTS (SELECT FROM noti.endpoints);
BEGIN
  FOR one IN
    WITH parked AS MATERIALIZED (
      SELECT r.* FROM noti.receipts r WHERE r.look_at <= clock_timestamp() ORDER BY r.look_at LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED)
    SELECT NULL::bigint AS receipt_id, 0 AS looks, e.account, e.provider, e.event, e.kind, e.at, e.notification_id, e.message_id, e.reference,
           e.recipient, e.code, e.words, e.raw_id, e.channel, e.sender, e.reply
      FROM json_to_recordset(coalesce(document, '[]')) AS e (
           account text, provider text, event text, kind text, at timestamptz, notification_id bigint, message_id uuid, reference text,
           recipient text, code text, words text, raw_id bigint, channel text, sender text, reply text)
    UNION ALL
    SELECT p.receipt_id, p.looks, p.account, p.provider, p.event, p.kind, p.at, p.notification_id, p.message_id, p.reference,
           p.recipient, p.code, p.words, p.raw_id, NULL, NULL, NULL
      FROM parked p
     ORDER BY account, event   -- two that are told the same never wait for each other crosswise
  LOOP
    said := greatest(least(coalesce(one.at, clock_timestamp()), clock_timestamp()), '2000-01-01 00:00+00');
    SELECT l.notification_id, l.tenant_id, l.channel, l.recipient, l.receipt, l.claimed_by, l.category INTO n
      FROM noti.notifications_log l
     WHERE l.notification_id = coalesce(one.notification_id, (
             SELECT p.notification_id FROM noti.provider_references p
              WHERE p.reference = one.reference AND p.account = one.account ORDER BY p.created_at DESC LIMIT 1))
       AND (one.message_id IS NULL OR l.message_id = one.message_id) AND one.kind <> 'replied'
     LIMIT 1;
    there := FOUND;
    person := there AND n.recipient LIKE 'user:%' AND n.channel <> 'in_app';
    IF person THEN
      n.recipient := coalesce((
        SELECT t.response_data ->> 'address' FROM noti.notification_attempts_log t
         WHERE t.notification_id = n.notification_id AND t.response_data ? 'address' ORDER BY t.log_id DESC LIMIT 1), one.recipient);
    END IF;
    IF n.recipient = '[erased]' THEN
      one.recipient := NULL;
      one.words := NULL;
    END IF;
    -- a mail may have copies; a phone number may be written as it is dialled in its region
    own := there AND (n.channel <> 'email' OR one.recipient IS NULL OR coalesce(noti.address_hash(n.channel, one.recipient) = noti.address_hash(n.channel, n.recipient), true));
    bad := own AND one.kind IN ('unsubscribed', 'failed', 'bounced', 'complained') AND noti.receipt_rank(one.kind) > noti.receipt_rank(n.receipt);
    ready := there;
    IF bad THEN   -- in flight its result is not recorded yet; and nobody is waited for
      PERFORM FROM noti.notifications_log l WHERE l.notification_id = n.notification_id AND l.claimed_by IS NULL FOR NO KEY UPDATE SKIP LOCKED;
      ready := FOUND;
    END IF;

    IF one.receipt_id IS NULL THEN
      INSERT INTO noti.receipts AS r (account, provider, event, kind, at, notification_id, message_id, reference, tenant_id, recipient,
                                      address_hash, code, words, raw_id, look_at)
      VALUES (one.account, one.provider, one.event, one.kind, said, CASE WHEN there THEN n.notification_id ELSE one.notification_id END,
              CASE WHEN NOT ready THEN one.message_id END, one.reference, CASE WHEN ready THEN n.tenant_id END,
              CASE WHEN person AND ready AND own THEN n.recipient
                   WHEN NOT ready OR NOT own OR noti.address_hash(n.channel, n.recipient) IS NULL THEN one.recipient END,
              CASE WHEN ready AND one.kind = 'soft_bounced' THEN noti.address_hash(n.channel, CASE WHEN own THEN n.recipient ELSE one.recipient END) END,
              one.code, one.words, one.raw_id,
              CASE WHEN NOT ready AND one.kind <> 'replied' THEN clock_timestamp() + interval '2 seconds' END)
      ON CONFLICT ON CONSTRAINT receipts_once DO NOTHING
      RETURNING r.receipt_id INTO id;
      fate := CASE WHEN id IS NULL THEN 'known' WHEN one.kind = 'replied' THEN 'heard' WHEN ready THEN 'matched' ELSE 'parked' END;
    ELSE
      id := one.receipt_id;
      fate := CASE WHEN ready THEN 'matched' WHEN one.looks < 16 THEN 'parked' ELSE 'given up' END;
      UPDATE noti.receipts r
         SET notification_id = CASE WHEN there THEN n.notification_id ELSE r.notification_id END,
             message_id = CASE WHEN NOT ready THEN r.message_id END,
             tenant_id = CASE WHEN ready THEN n.tenant_id END,
             recipient = CASE WHEN person AND ready AND own THEN n.recipient
                   WHEN NOT ready OR NOT own OR noti.address_hash(n.channel, n.recipient) IS NULL THEN one.recipient END,
             words = one.words,
             address_hash = CASE WHEN ready AND r.kind = 'soft_bounced' THEN noti.address_hash(n.channel, CASE WHEN own THEN n.recipient ELSE one.recipient END) END,
             looks = r.looks + 1,
             look_at = CASE WHEN fate = 'parked' THEN clock_timestamp() + interval '2 seconds' * 2 ^ r.looks END
       WHERE r.receipt_id = one.receipt_id;
    END IF;
    IF fate = 'matched' AND bad THEN
      UPDATE noti.notifications_log l SET receipt = one.kind, receipt_at = said WHERE l.notification_id = n.notification_id;
    END IF;
    IF fate = 'matched' AND own AND heard AND one.kind <> 'deferred' THEN
      PERFORM noti.tell(n.notification_id, n.tenant_id, n.channel, n.category, one.kind, 'receipt');
    END IF;
    IF fate = 'matched' AND one.kind IN ('soft_bounced', 'unsubscribed', 'bounced', 'complained') THEN
      news := news || id;
    ELSIF fate = 'heard' AND noti.address_hash(one.channel, one.sender) IS NOT NULL THEN
      -- the accounts of a configuration send for every tenant
      PERFORM noti.heard('', one.channel, one.sender, NULL, one.reply, said, one.account);
    END IF;
    provider := one.provider;
    kind := one.kind;
    RETURN NEXT;
  END LOOP;

  FOR one IN
    SELECT r.kind, r.at, r.address_hash, n.notification_id, n.tenant_id, n.channel, coalesce(r.recipient, n.recipient) AS address,
           CASE WHEN r.kind = 'unsubscribed' THEN n.category END AS category,
           CASE r.kind WHEN 'unsubscribed' THEN 'optout' WHEN 'complained' THEN 'complaint' ELSE 'dead' END AS reason
      FROM noti.receipts r JOIN noti.notifications_log n ON n.notification_id = r.notification_id
     WHERE r.receipt_id = ANY (news) AND coalesce(r.recipient, n.recipient) NOT LIKE 'user:%'
       AND noti.address_hash(n.channel, coalesce(r.recipient, n.recipient)) IS NOT NULL
     ORDER BY n.tenant_id, n.channel, noti.address_hash(n.channel, coalesce(r.recipient, n.recipient)), 8, 9
  LOOP
    IF one.kind = 'soft_bounced' THEN
      SELECT count(DISTINCT (s.at AT TIME ZONE 'UTC')::date) INTO days
        FROM noti.receipts s WHERE s.address_hash = one.address_hash AND s.tenant_id = one.tenant_id AND s.at > one.at - interval '30 days';
      CONTINUE WHEN days < 3;
    END IF;
    id := noti.suppress(one.tenant_id, one.channel, one.address, one.reason, one.category, source => 'receipt', notification_id => one.notification_id,
                        expires_at => CASE WHEN one.kind = 'soft_bounced' THEN one.at + interval '14 days' END, at => one.at);
    IF id IS NOT NULL AND one.kind = 'bounced' THEN
      PERFORM noti.contact_left(one.tenant_id, one.channel, one.address, 'dead, as was told later of notification ' || one.notification_id::text);
    END IF;
  END LOOP;
END $$;
