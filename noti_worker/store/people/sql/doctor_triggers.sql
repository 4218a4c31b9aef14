-- Triggers of our tables that somebody has switched off; those of the inbox are off until somebody wants them (noti.notify_inbox).
SELECT c.relname AS relation, t.tgname AS trigger
  FROM pg_trigger t
  JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE n.nspname = 'noti' AND NOT t.tgisinternal AND t.tgenabled IN ('D', 'R') AND p.proname <> 'on_inbox';
