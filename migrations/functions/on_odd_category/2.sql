-- A send window, a cap or a time to keep contents that nobody could obey is refused in words.
CREATE OR REPLACE FUNCTION noti.on_odd_category() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong text;
BEGIN
  NEW.quiet := coalesce(NEW.quiet, true);
  wrong := CASE
    WHEN NEW.send_window IS NOT NULL AND (SELECT p.days FROM noti.window_parts(NEW.send_window) AS p) IS NULL THEN
      'the send window ' || quote_literal(left(NEW.send_window, 60)) || ' cannot be read. Give days and hours, like weekdays 9-18, mon-fri 09:00-18:00, daily 8-20 or sat,sun 10-16.'
    WHEN NEW.mandatory AND (NEW.send_window IS NOT NULL OR NEW.cap_amount IS NOT NULL) THEN
      'a mandatory category goes out at any hour, and as often as there is something to say. Take its send window and its cap away, or do not make it mandatory.'
    WHEN (NEW.cap_amount IS NULL) <> (NEW.cap_every IS NULL) THEN
      'half a cap is none. Give cap_amount and cap_every together, like 3 and 7 days, or neither.'
    WHEN NEW.cap_amount NOT BETWEEN 1 AND 100 THEN
      'a cap is at least 1 message and at most 100. To send nothing, pause what is not to be sent.'
    WHEN NEW.cap_every NOT BETWEEN interval '1 minute' AND interval '366 days' THEN
      'a cap counts over at least a minute and at most 366 days. Give cap_every like 7 days.'
    WHEN NEW.cap_over NOT IN ('wait', 'drop') THEN
      'what is over the cap can wait or be dropped. Give wait or drop as cap_over.'
    WHEN NEW.keep_content NOT BETWEEN interval '1 hour' AND interval '3660 days' THEN
      'what messages say is kept for at least an hour and at most ten years. Give keep_content like 90 days, or nothing.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'categories_timed';
  END IF;
  NEW.cap_over := coalesce(NEW.cap_over, 'wait');
  RETURN NEW;
END $$;
