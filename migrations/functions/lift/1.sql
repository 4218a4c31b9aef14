-- End an entry of the suppression list; true when it was in force. What a person asked for is lifted at that person's request:
-- `requested_by` says who asked, and how. `at` is when that was.
CREATE OR REPLACE FUNCTION noti.lift(suppression_id bigint, lifted_by text DEFAULT NULL, requested_by text DEFAULT NULL, at timestamptz DEFAULT NULL)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong text;
  entry record;
BEGIN
  SELECT s.reason, s.lifted_at INTO entry FROM noti.suppressions s WHERE s.suppression_id = lift.suppression_id;
  wrong := CASE
    WHEN NOT FOUND THEN 'there is no such entry. noti-worker suppression list shows them.'
    WHEN entry.reason IN ('optout', 'complaint') AND coalesce(btrim(lift.requested_by), '') = '' THEN
      'an opt-out and a complaint are lifted when the person asks for it, and not otherwise. Give requested_by: who asked, and how.'
    WHEN octet_length(lift.lifted_by) > 256 OR octet_length(lift.requested_by) > 1024 THEN
      'the person or the request is too long. Give at most 256 and 1024 bytes.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'suppressions_lifted_by_the_person';
  END IF;
  UPDATE noti.suppressions s
     SET lifted_at = least(coalesce(lift.at, clock_timestamp()), clock_timestamp()),
         lifted_by = coalesce(nullif(lift.lifted_by, ''), noti.actor()),
         requested_by = nullif(btrim(lift.requested_by), '')
   WHERE s.suppression_id = lift.suppression_id AND s.lifted_at IS NULL;
  RETURN FOUND;
END $$;
