-- Hear of rows that came in, and of one's own checks.
LISTEN noti_wake;
LISTEN noti_wake_check;
