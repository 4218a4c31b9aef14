-- Who does this: the role set by SET ROLE, else the one that logged in (a SECURITY DEFINER function hides neither).
CREATE OR REPLACE FUNCTION noti.actor() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(nullif(current_setting('role', true), 'none'), session_user::text)
$$;
