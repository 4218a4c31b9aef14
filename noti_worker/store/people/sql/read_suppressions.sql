-- Entries of the suppression list, the newest first; a parameter that is NULL asks for nothing.
\set before 9223372036854775807
\set past false
\set tenants 'NULL::text[]'
\set channels 'NULL::text[]'
\set reasons 'NULL::text[]'
\set categories 'NULL::text[]'
\set address 'NULL'
\set limit 50
SELECT s.suppression_id, s.tenant_id, s.channel, s.address, encode(s.address_hash, 'hex') AS address_hash, s.category, s.reason,
       s.source, s.notification_id, s.note, s.hits, s.created_at, s.reported_at, s.expires_at, s.added_by,
       s.lifted_at, s.lifted_by, s.requested_by,
       s.lifted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now()) AS in_force
  FROM noti.suppressions s
 WHERE s.suppression_id < cast(:before AS bigint)
   AND (cast(:past AS boolean) OR s.lifted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now()))
   AND (cast(:tenants AS text[]) IS NULL OR s.tenant_id = ANY (cast(:tenants AS text[])))
   AND (cast(:channels AS text[]) IS NULL OR s.channel = ANY (cast(:channels AS text[])))
   AND (cast(:reasons AS text[]) IS NULL OR s.reason = ANY (cast(:reasons AS text[])))
   AND (cast(:categories AS text[]) IS NULL OR s.category = ANY (cast(:categories AS text[])))
   AND (cast(:address AS text) IS NULL
        OR s.address_hash = ANY (ARRAY(
           SELECT noti.address_hash(channel, cast(:address AS text)) FROM unnest(ARRAY['email', 'sms', 'push']) AS channel)))
 ORDER BY s.suppression_id DESC
 LIMIT cast(:limit AS bigint);
