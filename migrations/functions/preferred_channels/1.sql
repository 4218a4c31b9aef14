-- On which channels a person is written to where nobody says: those of the category, else those of the person's addresses, first by
-- place; without those that the person refused, unless the category is mandatory.
CREATE OR REPLACE FUNCTION noti.preferred_channels(tenant_id text, user_ref text, category text) RETURNS text[]
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  known jsonb;
  given text[];
BEGIN
  SELECT to_jsonb(c) INTO known FROM noti.categories c
   WHERE c.tenant_id IN (preferred_channels.tenant_id, '') AND c.category = preferred_channels.category ORDER BY c.tenant_id DESC LIMIT 1;
  IF jsonb_typeof(known -> 'channels') = 'array' AND known -> 'channels' <> '[]' THEN
    given := ARRAY(SELECT jsonb_array_elements_text(known -> 'channels'));
  ELSE
    given := ARRAY(SELECT c.channel FROM noti.contacts c
                    WHERE c.tenant_id = preferred_channels.tenant_id AND c.user_ref = preferred_channels.user_ref AND c.left_at IS NULL
                    GROUP BY c.channel ORDER BY min(c.place), min(c.contact_id));
  END IF;
  IF coalesce((known ->> 'mandatory')::boolean, false) THEN
    RETURN given;
  END IF;
  RETURN ARRAY(
    SELECT g.name FROM unnest(given) WITH ORDINALITY AS g (name, place)
     WHERE coalesce((
             SELECT p.allowed FROM noti.preferences p
              WHERE p.tenant_id = preferred_channels.tenant_id AND p.user_ref = preferred_channels.user_ref
                AND p.category IN (coalesce(preferred_channels.category, ''), '') AND p.channel IN (g.name, '')
              ORDER BY p.category <> '' DESC, p.channel <> '' DESC LIMIT 1), true)
     ORDER BY g.place);
END $$;
