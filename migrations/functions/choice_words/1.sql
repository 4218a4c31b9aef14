-- What a person chose, in words: "user 42 chose no news by email on 2026-11-02". Empty category or channel: each.
CREATE OR REPLACE FUNCTION noti.choice_words(user_ref text, allowed boolean, category text, channel text, since timestamptz) RETURNS text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'user ' || user_ref || ' chose ' || CASE WHEN allowed THEN '' ELSE 'no ' END || coalesce(nullif(category, ''), 'messages')
      || coalesce(' by ' || nullif(channel, ''), '') || to_char(since AT TIME ZONE 'UTC', '" on "YYYY-MM-DD')
$$;
