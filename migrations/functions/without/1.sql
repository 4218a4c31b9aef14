-- The options without somebody's copies; what was no list of addresses stays as it is.
CREATE OR REPLACE FUNCTION noti.without(options jsonb, who text) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT nullif(coalesce(jsonb_object_agg(o.key, CASE
             WHEN o.key IN ('cc', 'bcc') THEN (
               SELECT coalesce(jsonb_agg(e.value ORDER BY e.place), '[]')
                 FROM jsonb_path_query(o.value, 'lax $[*]') WITH ORDINALITY AS e (value, place)
                WHERE lower(who) NOT IN (SELECT noti.addresses(jsonb_build_object('cc', e.value))))
             ELSE o.value END), '{}'), '{}')
    FROM jsonb_each(options) AS o
   WHERE o.key <> 'reply_to' OR lower(who) NOT IN (SELECT noti.addresses(jsonb_build_object('cc', o.value)))
$$;
