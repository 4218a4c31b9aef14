-- A language tag as it is written, and those that stand in for it: pt_br gives {pt-BR,pt}. NULL for what is no tag.
CREATE OR REPLACE FUNCTION noti.languages(tag text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (
    SELECT array_agg(array_to_string(t.parts[1:n], '-') ORDER BY n DESC)
      FROM (SELECT array_agg(CASE WHEN place = 1 THEN lower(part) WHEN length(part) = 2 THEN upper(part)
                                  WHEN length(part) = 4 THEN initcap(part) ELSE lower(part) END ORDER BY place) AS parts
              FROM unnest(string_to_array(replace(languages.tag, '_', '-'), '-')) WITH ORDINALITY AS p (part, place)) AS t
     CROSS JOIN LATERAL generate_series(1, cardinality(t.parts)) AS n
     WHERE languages.tag ~ '^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$' AND length(languages.tag) <= 64);
