-- A domain as DNS knows it: small letters, and each label that is not ASCII in Punycode (RFC 3492, 6.3). What is no domain comes
-- back as something that is none either, nothing as nothing.
CREATE OR REPLACE FUNCTION noti.ascii_domain(domain text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- the small letter of a final sigma is itself: another domain than with the other one
  small  constant text := replace(noti.folded(replace(normalize(domain, NFKC), 'ς', chr(1))), chr(1), 'ς');
  done   text[] := '{}';
  label  text;
  codes  int[];
  code   int;
  digits text;
  n      int;
  delta  int;
  bias   int;
  basic  int;
  taken  int;
  lowest int;
  q      int;
  k      int;
  t      int;
BEGIN
  FOREACH label IN ARRAY coalesce(string_to_array(small, '.'), '{}') LOOP
    IF octet_length(label) = char_length(label) OR char_length(label) > 63 THEN
      done := done || label;
      CONTINUE;
    END IF;
    codes := ARRAY(SELECT ascii(c) FROM regexp_split_to_table(label, '') WITH ORDINALITY AS l (c, place) ORDER BY place);
    digits := (SELECT coalesce(string_agg(chr(c), '' ORDER BY place), '') FROM unnest(codes) WITH ORDINALITY AS l (c, place) WHERE c < 128);
    basic := char_length(digits);
    taken := basic;
    digits := CASE WHEN basic > 0 THEN digits || '-' ELSE '' END;
    n := 128; delta := 0; bias := 72;
    WHILE taken < cardinality(codes) LOOP
      lowest := (SELECT min(c) FROM unnest(codes) AS c WHERE c >= n);
      delta := delta + (lowest - n) * (taken + 1);
      n := lowest;
      FOREACH code IN ARRAY codes LOOP
        IF code < n THEN
          delta := delta + 1;
        ELSIF code = n THEN
          q := delta;
          k := 36;
          LOOP
            t := greatest(1, least(26, k - bias));
            EXIT WHEN q < t;
            digits := digits || substr('abcdefghijklmnopqrstuvwxyz0123456789', t + (q - t) % (36 - t) + 1, 1);
            q := (q - t) / (36 - t);
            k := k + 36;
          END LOOP;
          digits := digits || substr('abcdefghijklmnopqrstuvwxyz0123456789', q + 1, 1);
          -- the bias for the next one
          delta := CASE WHEN taken = basic THEN delta / 700 ELSE delta / 2 END;
          delta := delta + delta / (taken + 1);
          k := 0;
          WHILE delta > 455 LOOP
            delta := delta / 35;
            k := k + 36;
          END LOOP;
          bias := k + 36 * delta / (delta + 38);
          delta := 0;
          taken := taken + 1;
        END IF;
      END LOOP;
      delta := delta + 1;
      n := n + 1;
    END LOOP;
    done := done || ('xn--' || digits);
  END LOOP;
  RETURN array_to_string(done, '.');
END $$;
