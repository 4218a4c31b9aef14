-- Triggers of our tables that somebody has switched off.
SELECT c.relname AS relation, t.tgname AS trigger
  FROM pg_trigger t
  JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'noti' AND NOT t.tgisinternal AND t.tgenabled IN ('D', 'R');
