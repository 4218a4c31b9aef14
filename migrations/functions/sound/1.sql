-- Asked by the CHECK about a row that its short conditions do not pass. It says what is wrong in the words of
-- noti.fault, so that no error prints the row; what is merely unusual is sound. It knows every rule.
-- The row comes as a record: the CHECK is there before the type of the table is known to pg_restore.
CREATE OR REPLACE FUNCTION noti.sound(n record) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  given noti.notifications_log;
  fault text;
BEGIN
  given := n;
  fault := noti.fault(given);
  IF fault IS NULL AND (
       (given.claimed_by IS NOT NULL) <> (given.status = 'sending')
       OR num_nulls(given.claimed_by, given.lease_until) = 1
       OR given.claimed_by IS NULL AND num_nonnulls(given.dispatched_at, given.requested) > 0
       OR given.requested NOT IN ('cancelled', 'held')
       OR least(given.claim_count, given.attempt_count, given.lost_count, given.retry_count) < 0
       OR greatest(given.claim_count, given.attempt_count) > 1000000000
       OR greatest(given.lost_count, given.retry_count) > 1000000
       OR least(given.lease_until, given.dispatched_at) < '2000-01-01 00:00+00'
       OR greatest(given.lease_until, given.dispatched_at) > '2200-01-01 00:00+00') THEN
    fault := 'the claim and count columns belong to the workers. Leave out claimed_by, lease_until, dispatched_at, requested, '
             'claim_count, attempt_count, lost_count and retry_count.';
  END IF;
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;
  RETURN true;
END $$;
