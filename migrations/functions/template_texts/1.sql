-- The texts of templates, and of what they extend, include or import. Languages are given in the order of preference, with a blank
-- between; a version of 0 is the newest, else the newest that is not newer. A channel that has texts of its own has those only.
--
-- A function, so that its plan is kept: it would cost more than the look-up. `place` counts what was asked for; what is
-- taken along has none. Of each, at most 32 others and 256 kB of them are.
CREATE OR REPLACE FUNCTION noti.template_texts(tenants text[], ids text[], channels text[], languages text[], versions int[])
  RETURNS TABLE (place int, tenant_id text, channel text, languages_asked text, template_id text, version int, locale text,
                 subject text, body text, html text, names text[])
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  one    record;
  part   record;
  seen   text[];
  wanted text[];
  sent   text[] := '{}';
  mark   text;
  size   int;
BEGIN
  FOR one IN
    SELECT w.place::int AS place, w.tenant_id, w.channel, w.languages, w.template_id, t.version, t.locale, t.subject, t.body, t.html, t.names
      FROM unnest(template_texts.tenants, template_texts.ids, template_texts.channels, template_texts.languages, template_texts.versions)
           WITH ORDINALITY AS w (tenant_id, template_id, channel, languages, version, place)
     CROSS JOIN LATERAL (
           SELECT v.*
             FROM (VALUES (1, w.channel), (2, '')) AS c (rank, channel)
            CROSS JOIN LATERAL unnest(string_to_array(w.languages, ' ') || noti.default_languages(w.tenant_id) || ''::text)
                  WITH ORDINALITY AS l (locale, rank)
            CROSS JOIN LATERAL (
                  SELECT v.version, v.locale, v.subject, v.body, v.html, v.names
                    FROM noti.template_versions v
                   WHERE v.tenant_id = w.tenant_id AND v.template_id = w.template_id AND v.channel = c.channel AND v.locale = l.locale
                     AND v.version <= coalesce(nullif(w.version, 0), 2147483647)
                   ORDER BY v.version DESC
                   LIMIT 1) AS v
            WHERE coalesce(v.body, v.html) IS NOT NULL
            ORDER BY c.rank, l.rank
            LIMIT 1) AS t
  LOOP
    RETURN QUERY SELECT one.place, one.tenant_id, one.channel, one.languages, one.template_id, one.version, one.locale,
                        one.subject, one.body, one.html, one.names;
    CONTINUE WHEN one.names = '{}';
    seen := '{}';
    wanted := one.names[1:32];
    size := 0;
    WHILE wanted <> '{}' LOOP
      seen := seen || wanted;
      FOR part IN
        SELECT w.template_id, t.version, t.locale, t.subject, t.body, t.html, t.names
          FROM unnest(wanted) AS w (template_id)
         CROSS JOIN LATERAL (
               SELECT v.*
                 FROM (VALUES (1, one.channel), (2, '')) AS c (rank, channel)
                CROSS JOIN LATERAL unnest(string_to_array(one.languages, ' ') || noti.default_languages(one.tenant_id) || ''::text)
                      WITH ORDINALITY AS l (locale, rank)
                CROSS JOIN LATERAL (
                      SELECT v.version, v.locale, v.subject, v.body, v.html, v.names
                        FROM noti.template_versions v
                       WHERE v.tenant_id = one.tenant_id AND v.template_id = w.template_id AND v.channel = c.channel AND v.locale = l.locale
                       ORDER BY v.version DESC
                       LIMIT 1) AS v
                WHERE coalesce(v.body, v.html) IS NOT NULL
                ORDER BY c.rank, l.rank
                LIMIT 1) AS t
      LOOP
        size := size + coalesce(octet_length(part.subject), 0) + coalesce(octet_length(part.body), 0) + coalesce(octet_length(part.html), 0);
        EXIT WHEN size > 262144;
        wanted := wanted || part.names;
        mark := concat_ws(chr(31), one.tenant_id, one.channel, one.languages, part.template_id);
        CONTINUE WHEN mark = ANY (sent);
        sent := sent || mark;
        RETURN QUERY SELECT NULL::int, one.tenant_id, one.channel, one.languages, part.template_id, part.version, part.locale,
                            part.subject, part.body, part.html, part.names;
      END LOOP;
      EXIT WHEN size > 262144;
      wanted := (ARRAY(SELECT DISTINCT name FROM unnest(wanted) AS w (name) WHERE name <> ALL (seen)))[1:32 - cardinality(seen)];
    END LOOP;
  END LOOP;
END $$;
