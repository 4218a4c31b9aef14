-- Somebody wrote back: `words` from an address to one of ours, the account's. STOP and its like are an opt-out from everything on
-- that channel, START takes that back; gives stop, start, or NULL for other words. Tenant NULL or '': the account is one that
-- several tenants send through, and it holds for all of them. `at` is when it was written, however late it is told here.
CREATE OR REPLACE FUNCTION noti.heard(tenant_id text, channel text, from_address text, to_address text, words text, at timestamptz DEFAULT NULL, account text DEFAULT NULL)
  RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  whose  constant text := coalesce(heard.tenant_id, '');
  hash   constant bytea := noti.address_hash(heard.channel, heard.from_address);
  said   constant timestamptz := least(coalesce(heard.at, clock_timestamp()), clock_timestamp());
  asks   constant text := noti.reply_word(heard.words);
  entry  bigint;
BEGIN
  PERFORM noti.check_tenant(nullif(whose, ''));
  IF hash IS NULL THEN
    RAISE EXCEPTION 'noti: a reply comes from an address. Give the one that wrote.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF heard.channel = 'whatsapp' AND heard.account <> '' THEN
    -- Those of the last day count, and that there were others before.
    DELETE FROM noti.replies r WHERE r.tenant_id = whose AND r.account = heard.account AND r.heard_at < clock_timestamp() - interval '7 days';
    INSERT INTO noti.replies AS r (tenant_id, account, channel, address_hash, heard_at)
    VALUES (whose, heard.account, heard.channel, hash, said)
    ON CONFLICT ON CONSTRAINT replies_pkey DO UPDATE SET heard_at = EXCLUDED.heard_at WHERE r.heard_at < EXCLUDED.heard_at;
  END IF;
  IF asks = 'stop' THEN
    PERFORM noti.suppress(whose, heard.channel, heard.from_address, 'optout', source => 'reply', note => 'a reply' || coalesce(' to ' || left(heard.to_address, 100), ''), at => said);
  ELSIF asks = 'start' THEN
    FOR entry IN
      SELECT s.suppression_id FROM noti.suppressions s
       WHERE s.tenant_id IN (whose, '') AND s.channel = heard.channel AND s.address_hash = hash AND s.category = ''
         AND s.reason = 'optout' AND s.lifted_at IS NULL AND s.reported_at <= said
       ORDER BY s.tenant_id, s.suppression_id
    LOOP
      PERFORM noti.lift(entry, 'reply', 'the person, by a reply' || coalesce(' to ' || left(heard.to_address, 100), ''), said);
    END LOOP;
  END IF;
  RETURN asks;
END $$;
