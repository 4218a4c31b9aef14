-- Which role asks, for functions that run with the owner's rights: there current_user is the owner. The role that was set, else the
-- login; the server checks both, and nothing else that a session may set counts.
CREATE OR REPLACE FUNCTION noti.asker() RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(nullif(current_setting('role', true), 'none'), session_user::text)::name
$$;
