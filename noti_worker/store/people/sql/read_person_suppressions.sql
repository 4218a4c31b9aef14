-- What the suppression list holds of a person's addresses, lifted and expired entries too; those of tenant '' hold for every tenant.
\set tenant '''default'''
\set hashes 'array[''00'']'
SELECT s.suppression_id, s.tenant_id, s.channel, s.address, s.category, s.reason, s.source, s.note, s.created_at, s.expires_at, s.lifted_at,
       s.lifted_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now()) AS in_force
  FROM unnest(cast(:hashes AS text[])) AS theirs (hash)
  JOIN noti.suppressions s ON s.address_hash = decode(theirs.hash, 'hex')
 WHERE s.tenant_id IN (cast(:tenant AS text), '')
 ORDER BY s.suppression_id;
