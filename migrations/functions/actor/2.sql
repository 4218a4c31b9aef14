-- Who does this: the login, and the role that it has taken by SET ROLE (a SECURITY DEFINER function hides neither).
CREATE OR REPLACE FUNCTION noti.actor() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT concat(session_user::text, ' as ' || nullif(nullif(current_setting('role', true), 'none'), session_user::text))
$$;
