-- Null: the first of its route, or the only one.
ALTER TABLE noti.notification_attempts_log ADD COLUMN choice text;

INSERT INTO noti.rights (role, privilege, object, columns) VALUES
  ('noti_app', 'SELECT', 'notification_attempts_log', '{choice}'),
  ('noti_operator', 'SELECT', 'notification_attempts_log', '{choice}'),
  ('noti_readonly', 'SELECT', 'notification_attempts_log', '{choice}');
