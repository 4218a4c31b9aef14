-- The options without somebody's copies; what does not name them stays as it is.
CREATE OR REPLACE FUNCTION noti.without(options jsonb, who text) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT nullif(coalesce(jsonb_object_agg(o.key, CASE WHEN o.named THEN o.others ELSE o.value END), '{}'), '{}')
    FROM (SELECT e.key, e.value, list.others,
                 e.key IN ('cc', 'bcc', 'reply_to') AND noti.address(who) IN (SELECT noti.addresses(jsonb_build_object('cc', e.value))) AS named
            FROM jsonb_each(options) AS e
           CROSS JOIN LATERAL (
                 SELECT coalesce(jsonb_agg(one.value ORDER BY one.place), '[]') AS others
                   FROM jsonb_path_query(e.value, 'lax $[*]') WITH ORDINALITY AS one (value, place)
                  WHERE noti.address(who) NOT IN (SELECT noti.addresses(jsonb_build_object('cc', jsonb_build_array(one.value))))) AS list) AS o
   WHERE NOT (o.named AND o.key = 'reply_to' AND o.others = '[]')
$$;
