-- Send nothing to an address any more: for everything, or for one category. Gives the entry's id; one that is there already is
-- counted up and never holds for less long. Without an end a dead address is let go after 90 days, for numbers and domains find
-- new owners, and everything else holds until it is lifted; `infinity` holds for good. `at` is when it was said: what was said
-- before the person took it back is over, and gives NULL, as does an address that was erased. Tenant '' means all of them.
CREATE OR REPLACE FUNCTION noti.suppress(tenant_id text, channel text, address text, reason text DEFAULT 'manual', category text DEFAULT NULL, source text DEFAULT 'application', notification_id bigint DEFAULT NULL, note text DEFAULT NULL, expires_at timestamptz DEFAULT NULL, at timestamptz DEFAULT NULL, added_by text DEFAULT NULL)
  RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong  text;
  hash   bytea;
  said   timestamptz := least(coalesce(suppress.at, clock_timestamp()), clock_timestamp());
  ends   timestamptz := CASE WHEN suppress.expires_at = 'infinity' THEN NULL
                             WHEN suppress.expires_at IS NULL AND suppress.reason = 'dead' THEN said + interval '90 days'
                             ELSE suppress.expires_at END;
  answer bigint;
BEGIN
  IF suppress.address = '[erased]' THEN
    RETURN NULL;
  END IF;
  wrong := noti.suppression_fault(suppress.tenant_id, suppress.channel, suppress.address, suppress.reason, suppress.category, suppress.note, ends);
  IF octet_length(suppress.source) > 64 OR octet_length(suppress.added_by) > 256 THEN
    wrong := coalesce(wrong, 'the source or the person is too long. Give at most 64 and 256 bytes.');
  END IF;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'suppressions_sane';
  END IF;
  hash := noti.address_hash(suppress.channel, suppress.address);
  IF suppress.at IS NOT NULL AND EXISTS (
       SELECT 1 FROM noti.suppressions s
        WHERE s.tenant_id = suppress.tenant_id AND s.channel = suppress.channel AND s.address_hash = hash
          AND s.category = coalesce(suppress.category, '') AND s.reason = suppress.reason AND s.lifted_at > said) THEN
    RETURN NULL;
  END IF;
  INSERT INTO noti.suppressions AS s (tenant_id, channel, address_hash, address, category, reason, source, notification_id, note, reported_at, expires_at, added_by)
  VALUES (suppress.tenant_id, suppress.channel, hash, noti.normal_address(suppress.channel, suppress.address), coalesce(suppress.category, ''), suppress.reason,
          coalesce(nullif(suppress.source, ''), 'application'), suppress.notification_id, nullif(suppress.note, ''), said, ends,
          coalesce(nullif(suppress.added_by, ''), noti.actor()))
  ON CONFLICT (address_hash, tenant_id, channel, category, reason) WHERE lifted_at IS NULL DO UPDATE
     SET hits = s.hits + 1,
         source = EXCLUDED.source,
         notification_id = coalesce(EXCLUDED.notification_id, s.notification_id),
         note = coalesce(EXCLUDED.note, s.note),
         reported_at = greatest(s.reported_at, EXCLUDED.reported_at),
         expires_at = CASE WHEN s.expires_at IS NOT NULL AND EXCLUDED.expires_at IS NOT NULL THEN greatest(s.expires_at, EXCLUDED.expires_at) END
  RETURNING s.suppression_id INTO answer;
  RETURN answer;
END $$;
