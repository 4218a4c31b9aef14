-- The templates that a text extends, includes or imports, as they are named in it; at most 33, one more than are taken along.
CREATE OR REPLACE FUNCTION noti.template_names(source text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (
    SELECT coalesce((array_agg(DISTINCT m.found[1] COLLATE "C"))[1:33], '{}')
      FROM regexp_matches(template_names.source, '\{%[-+]?\s*(?:extends|include|import|from)\s+["'']([^"'']+)["'']', 'g') AS m (found));
