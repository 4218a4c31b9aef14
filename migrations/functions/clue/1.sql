-- What every text that names somebody holds, when its Latin letters are small, also as it stands in JSON: the longest run of
-- plain characters. Cheap to look for; whether the text means them is for noti.unnamed to say.
CREATE OR REPLACE FUNCTION noti.clue(who text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  -- neither " nor a backslash: JSON writes them otherwise
  SELECT run FROM regexp_split_to_table(noti.address(who) COLLATE "C", '[^]-~ -!#-[]+') AS run ORDER BY char_length(run) DESC LIMIT 1
$$;
