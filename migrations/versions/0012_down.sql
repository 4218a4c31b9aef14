DELETE FROM noti.rights
 WHERE object IN ('span', 'may_have_arrived', 'end_of', 'after_end', 'locked_by', 'obstacle_locked', 'obstacle_ahead',
                  'obstacle_refused', 'obstacle_unable', 'correct')
    OR (role, privilege, object, columns) = ('noti_operator', 'UPDATE', 'notifications_log', '{next_retry_at}');
DO $$
BEGIN
  IF to_regrole('noti_operator') IS NOT NULL THEN
    REVOKE UPDATE (next_retry_at) ON noti.notifications_log FROM noti_operator;
  END IF;
END $$;
