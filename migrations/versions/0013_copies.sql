-- A copy that was refused for now waits as a notification of its own: `copy_of` is the one that was sent.
ALTER TABLE noti.notifications_log ADD COLUMN copy_of bigint;
CREATE INDEX notifications_log_copies ON noti.notifications_log (copy_of) WHERE copy_of IS NOT NULL;
