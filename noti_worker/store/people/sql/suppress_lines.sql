-- Add many entries, each for itself: what is wrong with one is told, and harms no other. Tells which were there before. In the
-- order of the index, as workers add theirs.
\set places 'array[2, 3]'
\set tenants 'array[''default'', ''default'']'
\set channels 'array[''email'', ''email'']'
\set addresses 'array[''ann@example.com'', ''bea'']'
\set reasons 'array[''manual'', ''manual'']'
\set categories 'array['''', '''']'
\set notes 'array['''', '''']'
\set ends 'array[NULL, NULL]::timestamptz[]'
\set ats 'array[NULL, NULL]::timestamptz[]'
\set source '''import'''
\set added_by '''ann'''
SELECT line.place, line.fault, line.known,
       CASE WHEN line.fault IS NULL
            THEN noti.suppress(line.tenant_id, line.channel, line.address, line.reason, line.category, cast(:source AS text), NULL,
                               line.note, line.expires_at, line.at, cast(:added_by AS text)) END AS suppression_id
  FROM (SELECT given.*,
               noti.suppression_fault(given.tenant_id, given.channel, given.address, given.reason, given.category, given.note,
                                      given.expires_at) AS fault,
               EXISTS (SELECT FROM noti.suppressions s
                        WHERE s.address_hash = noti.address_hash(given.channel, given.address) AND s.lifted_at IS NULL
                          AND s.tenant_id = given.tenant_id AND s.channel = given.channel AND s.category = given.category
                          AND s.reason = given.reason) AS known
          FROM unnest(cast(:places AS int[]), cast(:tenants AS text[]), cast(:channels AS text[]), cast(:addresses AS text[]),
                      cast(:reasons AS text[]), cast(:categories AS text[]), cast(:notes AS text[]),
                      cast(:ends AS timestamptz[]), cast(:ats AS timestamptz[]))
               AS given (place, tenant_id, channel, address, reason, category, note, expires_at, at)
         ORDER BY noti.address_hash(given.channel, given.address), given.tenant_id COLLATE "C", given.channel COLLATE "C",
                  given.category COLLATE "C", given.reason COLLATE "C"
        OFFSET 0) AS line;
