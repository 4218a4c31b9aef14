-- Which of a row's documents is too large, and what to do about it; NULL when none is. Each may have 256 kB, as jsonb and as text.
--
-- How long a document is as text only its text tells, and four kilobytes of jsonb can be a gigabyte of it: a number like
-- 1e131071 or 0e-16383 takes a few bytes. So what is larger than 2 kB becomes text only after its numbers were found to be
-- short; 2 kB make 22 MB at most. `|| '{}'` opens what is stored compressed or apart.
CREATE OR REPLACE FUNCTION noti.too_large(template_data jsonb, options jsonb, metadata jsonb) RETURNS text
  LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  most      constant int := 262144;
  names     constant text[] := '{template_data,options,metadata}';
  documents constant jsonb[] := ARRAY[template_data, options, metadata];
  opened    int;
  digits    numeric;
BEGIN
  FOR i IN 1..3 LOOP
    CONTINUE WHEN documents[i] IS NULL;
    opened := pg_column_size(documents[i] || '{}');
    IF opened > most THEN
      RETURN names[i] || ' is larger than 256 kB. Make it smaller, or store it elsewhere and send a link.';
    END IF;
    digits := 0;
    IF opened > 2048 THEN
      digits := (
        SELECT sum(scale(n.value::numeric)
                   + CASE WHEN n.value::numeric BETWEEN -1e40 AND 1e40 THEN 41
                          WHEN n.value::numeric BETWEEN -1e400 AND 1e400 THEN 401
                          WHEN n.value::numeric BETWEEN -1e4000 AND 1e4000 THEN 4001
                          ELSE 131072 END)
          FROM jsonb_path_query(documents[i], 'strict $.** ? (@.type() == "number")') AS n (value));
    END IF;
    IF digits > 16 * most OR octet_length(documents[i]::text) > most THEN
      RETURN names[i] || ' is larger than 256 kB as text. Make it smaller, or store it elsewhere and send a link.';
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
