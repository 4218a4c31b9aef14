-- A document with a mark in every string that names somebody, and with `keys` in every key; numbers and the rest stay as they
-- are. What is nested more than 64 deep was written by nobody who meant it, and goes as a whole.
CREATE OR REPLACE FUNCTION noti.unnamed_json(document jsonb, who text, loose boolean, keys boolean) RETURNS jsonb
  LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF jsonb_path_exists(document, 'strict $.**{65}') THEN
    RETURN to_jsonb('[erased]'::text);
  END IF;
  RETURN CASE jsonb_typeof(document)
    WHEN 'string' THEN to_jsonb(noti.unnamed(document #>> '{}', who, loose, '[erased]'))
    WHEN 'array' THEN (SELECT coalesce(jsonb_agg(noti.unnamed_json(e.value, who, loose, keys) ORDER BY e.place), '[]')
                         FROM jsonb_array_elements(document) WITH ORDINALITY AS e (value, place))
    WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(CASE WHEN keys THEN noti.unnamed(e.key, who, loose, '[erased]') ELSE e.key END,
                                                         noti.unnamed_json(e.value, who, loose, keys)), '{}')
                          FROM jsonb_each(document) AS e)
    ELSE document END;
END $$;
