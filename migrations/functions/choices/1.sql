-- What a person may choose of, for a page: a line for each category and channel, as things stand. The channels are those of the category,
-- else those by which the person is reached; '' where none is known. `title` is in the language of `locale` where there is one.
-- `left_out` tells that the suppression list stops every address of the person there: with 'category' by opt-outs from the category
-- alone, which the person may take back, with 'address' by what else there is.
CREATE OR REPLACE FUNCTION noti.choices(user_ref text, tenant_id text DEFAULT 'default', locale text DEFAULT NULL)
  RETURNS TABLE (category text, title text, channel text, mandatory boolean, opt_in boolean, allowed boolean, frequency text, left_out text)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH kind AS (
    SELECT DISTINCT ON (c.category) c.* FROM noti.categories c WHERE c.tenant_id IN (choices.tenant_id, '') ORDER BY c.category, c.tenant_id DESC
  ), address AS (
    SELECT c.channel, c.address_hash FROM noti.contacts c
     WHERE c.tenant_id = choices.tenant_id AND c.user_ref = choices.user_ref AND c.left_at IS NULL
  ), line AS (
    SELECT p.category, p.channel, p.allowed, p.frequency FROM noti.preferences p WHERE p.tenant_id = choices.tenant_id AND p.user_ref = choices.user_ref
  ), reached AS (
    SELECT a.channel FROM address a UNION SELECT l.channel FROM line l WHERE l.category = '' AND l.channel <> ''
  )
  SELECT kind.category, coalesce(named.title, kind.title, kind.category), way.channel, kind.mandatory, kind.opt_in,
         kind.mandatory OR coalesce(chosen.allowed, true) AND (NOT kind.opt_in OR coalesce(chosen.category, '') <> ''),
         coalesce(chosen.frequency, 'instant'),
         stopped.by_what
    FROM kind
    LEFT JOIN LATERAL (
         SELECT kind.titles ->> tag AS title FROM unnest(noti.languages(choices.locale)) WITH ORDINALITY AS wanted (tag, place)
          WHERE kind.titles ->> tag <> '' ORDER BY place LIMIT 1) AS named ON true
   CROSS JOIN LATERAL (
         SELECT unnest(kind.channels)
          UNION
         SELECT r.channel FROM reached r WHERE kind.channels IS NULL
          UNION
         SELECT l.channel FROM line l WHERE l.category = kind.category AND l.channel <> ''
          UNION
         SELECT '' WHERE kind.channels IS NULL AND NOT EXISTS (SELECT FROM reached)
                     AND NOT EXISTS (SELECT FROM line l WHERE l.category = kind.category AND l.channel <> '')) AS way (channel)
    LEFT JOIN LATERAL (
         SELECT l.* FROM line l WHERE l.category IN (kind.category, '') AND l.channel IN (way.channel, '')
          ORDER BY l.category DESC, l.channel DESC LIMIT 1) AS chosen ON true
   CROSS JOIN LATERAL (
         SELECT CASE WHEN bool_or(a.stops = 0) THEN NULL WHEN bool_or(a.others = 0) THEN 'category' WHEN count(*) > 0 THEN 'address' END AS by_what
           FROM (SELECT count(s.suppression_id) AS stops,
                        count(s.suppression_id) FILTER (WHERE NOT (s.reason = 'optout' AND s.category = kind.category AND s.tenant_id = choices.tenant_id)) AS others
                   FROM address
                   LEFT JOIN noti.suppressions s
                     ON s.address_hash = address.address_hash AND s.lifted_at IS NULL AND s.channel = address.channel
                    AND s.tenant_id IN (choices.tenant_id, '') AND s.category IN (kind.category, '') AND (s.expires_at IS NULL OR s.expires_at > now())
                    AND NOT (s.reason = 'optout' AND kind.mandatory)
                  WHERE address.channel = way.channel
                  GROUP BY address.address_hash) AS a) AS stopped
   ORDER BY kind.mandatory, 2, kind.category, array_position('{email,sms,whatsapp,push,in_app,chat,voice,webhook}'::text[], way.channel);
END $$;
