-- A text with a mark where somebody was named. The name must stand there as a whole: da@example.com is not in
-- ada@example.com, and user:1 not in user:17. E-mail addresses are found whatever their case, everything else as it is written.
-- With `loose`, for what is theirs anyway, only letters and digits beside it make it another name: welcome-da@example.com.
-- What is not named comes back as it was. No backslash: applications may set standard_conforming_strings = off.
CREATE OR REPLACE FUNCTION noti.unnamed(words text, who text, loose boolean, mark text) RETURNS text
  LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  back    constant text := chr(92);
  address constant boolean := noti.address(who) COLLATE "C" ~ '^[^@[:space:]]+@[^@[:space:]]+$';
  name    constant text := CASE WHEN address THEN noti.address(who) ELSE normalize(who) END;
  plain   constant boolean := octet_length(name) = char_length(name);
  -- a letter, a digit, _ or whatever is no Latin sign: not what punctuates, in any script
  letter  constant text := concat('[^', chr(1), '-/:-@[-^`{-', chr(191), chr(8192), '-', chr(8303), chr(12288), '-', chr(12351),
                                  chr(65281), '-', chr(65295), chr(65306), '-', chr(65312), ']');
  quote   constant text := '["''`]';
  literal text;
  pattern text;
  shown   text;
  looked  text;
  start   int := 1;
  named   boolean := false;
  at      int;
BEGIN
  IF words IS NULL OR coalesce(char_length(name), 0) < 3 OR strpos(lower(words COLLATE "C"), noti.clue(who)) = 0 THEN
    RETURN words;
  END IF;
  shown := CASE WHEN plain THEN words ELSE normalize(words) END;
  looked := CASE WHEN NOT address THEN shown WHEN plain THEN lower(shown COLLATE "C") ELSE noti.folded(shown) END;
  IF strpos(looked COLLATE "C", name) = 0 THEN
    RETURN words;
  END IF;
  literal := regexp_replace(name COLLATE "C", concat('([', chr(1), '-/:-@[-`{-', chr(127), '])'), concat(back, back, back, '1'), 'g');
  pattern := CASE
    WHEN loose THEN concat('(?<!', letter, ')', literal, '(?!', letter, ')')
    -- in quotation marks, or with nothing beside it that goes on with the name
    WHEN address THEN concat(
      '(?<=', quote, ')(?<!', letter, quote, ')', literal, '(?=', quote, ')|',
      '(?<!', letter, '|[-+#%&$!?*{}|~^''`]|', letter, '[.@])', literal, '(?!', letter, '|[-.@%]+', letter, ')')
    ELSE concat(
      '(?<=', quote, ')(?<!', letter, quote, ')', literal, '(?=', back, back, '?', quote, ')(?!', back, back, '?', quote, letter, ')|',
      '(?<!', letter, '|[-+#%&$"''`', back, back, ']|', letter, '[.:/!^*?~@])', literal,
      '(?!', letter, '|["''`', back, back, ']|[-+#%&$.:/!^*?~@]+', letter, ')') END;
  LOOP
    at := regexp_instr(looked COLLATE "C", pattern, start);
    EXIT WHEN at = 0;
    named := true;
    shown := overlay(shown PLACING mark FROM at FOR char_length(name));
    looked := overlay(looked PLACING mark FROM at FOR char_length(name));
    start := at + char_length(mark);
  END LOOP;
  RETURN CASE WHEN named THEN shown ELSE words END;
END $$;
