-- Whether a role of this name exists.
\set role '''postgres'''
SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = cast(:role AS text)) AS known;
