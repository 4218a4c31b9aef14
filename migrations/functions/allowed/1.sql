-- What would become of a message of a category to a person by a channel now, and why. `kind` is mandatory, wanted, unsaid (nothing speaks
-- against it), no_address, not_wanted, no_opt_in, or the reason of the suppression list; `frequency` is how often the person wants it, and
-- `waits_until` when quiet hours end or the send window opens, NULL when it need not wait. What is urgent waits for no quiet hours.
CREATE OR REPLACE FUNCTION noti.allowed(user_ref text, category text, channel text, tenant_id text DEFAULT 'default')
  RETURNS TABLE (allowed boolean, reason text, kind text, frequency text, waits_until timestamptz) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  of_category constant text := coalesce(allowed.category, '');
  the_kind    record;
  the_line    record;
  the_address record;
  the_stop    record;
  the_hours   record;
  zone        text;
BEGIN
  SELECT c.mandatory, c.opt_in, c.quiet, c.send_window INTO the_kind
    FROM noti.categories c
   WHERE c.tenant_id IN (allowed.tenant_id, '') AND c.category = of_category ORDER BY c.tenant_id DESC LIMIT 1;
  SELECT p.* INTO the_line
    FROM noti.preferences p
   WHERE p.tenant_id = allowed.tenant_id AND p.user_ref = allowed.user_ref AND p.category IN (of_category, '') AND p.channel IN (allowed.channel, '')
   ORDER BY p.category DESC, p.channel DESC LIMIT 1;
  frequency := coalesce(the_line.frequency, 'instant');
  IF allowed.channel <> 'in_app' THEN   -- there the person is the address
    SELECT count(*) AS known, count(*) FILTER (WHERE c.left_at IS NULL) AS living, max(c.left_at) AS left_at,
           (array_agg(c.left_because ORDER BY c.left_at DESC))[1] AS left_because
      INTO the_address
      FROM noti.contacts c WHERE c.tenant_id = allowed.tenant_id AND c.user_ref = allowed.user_ref AND c.channel = allowed.channel;
    IF the_address.living = 0 THEN
      RETURN QUERY SELECT false, format('user %s has no address for %s', allowed.user_ref, allowed.channel)
        || CASE WHEN the_address.known > 0 THEN format(' any more since %s: %s', to_char(the_address.left_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), the_address.left_because)
                ELSE '' END, 'no_address', frequency, NULL::timestamptz;
      RETURN;
    END IF;
    SELECT every.* INTO the_stop
      FROM (SELECT found.*, count(*) OVER () AS addresses
              FROM noti.contacts c
              LEFT JOIN LATERAL (
                   SELECT s.suppression_id, s.reason, s.category, s.created_at
                     FROM noti.suppressions s
                    WHERE s.address_hash = c.address_hash AND s.lifted_at IS NULL AND s.channel = c.channel AND s.tenant_id IN (c.tenant_id, '')
                      AND s.category IN (of_category, '') AND (s.expires_at IS NULL OR s.expires_at > now())
                      AND NOT (s.reason = 'optout' AND coalesce(the_kind.mandatory, false))
                    ORDER BY s.suppression_id LIMIT 1) AS found ON true
             WHERE c.tenant_id = allowed.tenant_id AND c.user_ref = allowed.user_ref AND c.channel = allowed.channel AND c.left_at IS NULL
             ORDER BY c.place, c.contact_id) AS every
     WHERE every.suppression_id IS NOT NULL
       AND NOT EXISTS (   -- another address of the person may still be open
           SELECT FROM noti.contacts c
            WHERE c.tenant_id = allowed.tenant_id AND c.user_ref = allowed.user_ref AND c.channel = allowed.channel AND c.left_at IS NULL
              AND NOT EXISTS (
                  SELECT FROM noti.suppressions s
                   WHERE s.address_hash = c.address_hash AND s.lifted_at IS NULL AND s.channel = c.channel AND s.tenant_id IN (c.tenant_id, '')
                     AND s.category IN (of_category, '') AND (s.expires_at IS NULL OR s.expires_at > now())
                     AND NOT (s.reason = 'optout' AND coalesce(the_kind.mandatory, false))))
     LIMIT 1;
    IF the_stop.suppression_id IS NOT NULL THEN
      RETURN QUERY SELECT false, format('the suppression list stops it: entry %s, %s%s on %s', the_stop.suppression_id, the_stop.reason,
        coalesce(' of ' || nullif(the_stop.category, ''), ''), to_char(the_stop.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')), the_stop.reason, frequency, NULL::timestamptz;
      RETURN;
    END IF;
  END IF;
  IF allowed.channel NOT IN ('webhook', 'in_app') AND the_kind.mandatory IS NOT TRUE THEN
    SELECT c.zone, c.quiet_from, c.quiet_to INTO the_hours
      FROM noti.contacts c
     WHERE c.tenant_id = allowed.tenant_id AND c.user_ref = allowed.user_ref AND c.channel = allowed.channel AND c.left_at IS NULL
     ORDER BY c.place, c.contact_id LIMIT 1;
    zone := coalesce(the_hours.zone, (SELECT s.value #>> '{}' FROM noti.settings s WHERE s.tenant_id = allowed.tenant_id AND s.key = 'zone'), 'UTC');
    IF the_hours.quiet_from IS NULL THEN
      SELECT split_part(s.value #>> '{}', '-', 1)::time AS quiet_from, split_part(s.value #>> '{}', '-', 2)::time AS quiet_to INTO the_hours
        FROM noti.settings s WHERE s.tenant_id = allowed.tenant_id AND s.key = 'quiet_hours';
    END IF;
    waits_until := greatest(
      CASE WHEN the_kind.quiet IS NOT FALSE THEN noti.quiet_until(zone, the_hours.quiet_from, the_hours.quiet_to, now()) END,
      noti.window_opens(the_kind.send_window, zone, now()));
  END IF;
  RETURN QUERY
    SELECT said.allowed, said.reason || CASE WHEN said.allowed AND waits_until IS NOT NULL
             THEN '; it waits until ' || to_char(waits_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' ELSE '' END,
           said.kind, frequency, CASE WHEN said.allowed THEN waits_until END
      FROM (VALUES
             (1, coalesce(the_kind.mandatory, false), true, of_category || ' is mandatory: it goes out whatever a person chose', 'mandatory'),
             (2, NOT the_line.allowed, false,
              noti.choice_words(allowed.user_ref, false, the_line.category, the_line.channel, the_line.updated_at), 'not_wanted'),
             (3, coalesce(the_kind.opt_in, false) AND coalesce(the_line.category, '') = '', false,
              format('%s goes only to who said yes, and user %s did not', of_category, allowed.user_ref), 'no_opt_in'),
             (4, the_line.allowed, true, noti.choice_words(allowed.user_ref, true, the_line.category, the_line.channel, the_line.updated_at), 'wanted'),
             (5, true, true, 'nothing speaks against it', 'unsaid')) AS said (place, holds, allowed, reason, kind)
     WHERE said.holds
     ORDER BY said.place LIMIT 1;
END $$;
