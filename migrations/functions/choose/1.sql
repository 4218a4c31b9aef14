-- Write down what a person chose: of a category ('': every one that has no choice of its own) and a channel ('': every channel).
-- `allowed` NULL takes the choice back, `frequency` NULL leaves it as it is. `chosen_by` says who asked for it, and how. What is
-- chosen already keeps its date.
CREATE OR REPLACE FUNCTION noti.choose(user_ref text, category text DEFAULT '', channel text DEFAULT '', allowed boolean DEFAULT true,
    frequency text DEFAULT NULL, tenant_id text DEFAULT 'default', chosen_by text DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  of_category constant text := coalesce(choose.category, '');
  of_channel  constant text := coalesce(choose.channel, '');
  chooser     constant text := coalesce(nullif(left(choose.chosen_by, 200), ''), noti.actor());
  wrong       text;
BEGIN
  PERFORM noti.check_tenant(choose.tenant_id);
  wrong := CASE
    WHEN coalesce(choose.user_ref, '') = '' OR octet_length(choose.user_ref) > 256 OR starts_with(choose.user_ref, 'user:') THEN
      'a person is named as in user:42, without user: in front. Give 42, at most 256 bytes.'
    WHEN octet_length(of_category) > 256 THEN 'the name of the category is too long. Give at most 256 bytes.'
    WHEN of_channel NOT IN ('', 'email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
      format('there is no channel %s. Give email, sms, whatsapp, push, voice, chat, webhook, in_app, or nothing for each.', quote_literal(left(of_channel, 64)))
    WHEN choose.frequency NOT IN ('instant', 'hourly', 'daily') THEN
      format('there is no frequency %s. Give instant, hourly or daily.', quote_literal(left(choose.frequency, 64)))
    WHEN NOT choose.allowed AND of_category <> '' AND (
         SELECT c.mandatory FROM noti.categories c
          WHERE c.tenant_id IN (choose.tenant_id, '') AND c.category = of_category ORDER BY c.tenant_id DESC LIMIT 1) THEN
      format('%s is mandatory and goes out whatever a person chooses. Choose of another category.', quote_literal(of_category)) END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'preferences_sane';
  END IF;
  IF choose.allowed IS NULL THEN
    DELETE FROM noti.preferences p
     WHERE p.tenant_id = choose.tenant_id AND p.user_ref = choose.user_ref AND p.category = of_category AND p.channel = of_channel;
    IF FOUND THEN
      INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
      VALUES (choose.tenant_id, 'user', choose.user_ref, 'preference_removed', 'db', noti.actor(),
              jsonb_strip_nulls(jsonb_build_object(
                'by', nullif(chooser, noti.actor()), 'category', nullif(of_category, ''), 'channel', nullif(of_channel, ''))));
    END IF;
    RETURN;
  END IF;
  INSERT INTO noti.preferences AS p (tenant_id, user_ref, category, channel, allowed, frequency, updated_by)
  VALUES (choose.tenant_id, choose.user_ref, of_category, of_channel, choose.allowed, coalesce(choose.frequency, 'instant'), chooser)
  ON CONFLICT ON CONSTRAINT preferences_pkey DO UPDATE
     SET allowed = EXCLUDED.allowed, frequency = coalesce(choose.frequency, p.frequency), updated_at = clock_timestamp(), updated_by = chooser
   WHERE (p.allowed, p.frequency) IS DISTINCT FROM (EXCLUDED.allowed, coalesce(choose.frequency, p.frequency));
END $$;
