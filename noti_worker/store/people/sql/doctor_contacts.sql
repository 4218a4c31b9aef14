-- Whether a view stands in for noti.contacts: is it there, which columns does it lack, and may noti_worker read it?
\set schema '''app'''
\set view '''noti_contacts'''
SELECT c.oid IS NOT NULL AS exists,
       ARRAY(SELECT wanted.name
               FROM unnest(cast('{tenant_id,user_ref,channel,address,contact_id,place,verified_at,locale,zone,quiet_from,quiet_to,left_at,left_because}' AS text[]))
                    WITH ORDINALITY AS wanted (name, position)
              WHERE c.oid IS NOT NULL
                AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = wanted.name AND a.attnum > 0 AND NOT a.attisdropped)
              ORDER BY wanted.position) AS missing,
       c.oid IS NULL OR to_regrole('noti_worker') IS NULL
       OR has_schema_privilege('noti_worker', c.relnamespace, 'USAGE') AND has_any_column_privilege('noti_worker', c.oid, 'SELECT') AS readable
  FROM (SELECT) AS always
  LEFT JOIN pg_namespace n ON n.nspname = cast(:schema AS text)
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = cast(:view AS text);
