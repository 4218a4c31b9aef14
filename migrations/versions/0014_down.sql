DELETE FROM noti.rights
 WHERE (role, privilege, object, columns) = ('noti_operator', 'SELECT', 'notification_attempts_log', '{response_data}');
DO $$
BEGIN
  IF to_regrole('noti_operator') IS NOT NULL THEN
    REVOKE SELECT (response_data) ON noti.notification_attempts_log FROM noti_operator;
  END IF;
END $$;
