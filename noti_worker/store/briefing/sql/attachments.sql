-- The attachments that one row's options name, in their order; the content of each only once, and of none when they are
-- too many or too large in all. What is named and is no id, or does not exist, comes without.
--
-- A size is known without reading the content. A word is an id if Python's uuid.UUID takes it: with braces or without.
\set id 1
\set most 25
\set most_bytes 26214400
WITH named AS MATERIALIZED (
    SELECT named.position, word.shown,
           CASE WHEN word.digits ~ '^[0-9a-fA-F]{32}$' THEN cast(word.digits AS uuid) END AS attachment_id,
           n.tenant_id, jsonb_array_length(list.value) AS files
      FROM noti.notifications_log n
     CROSS JOIN LATERAL (
           SELECT CASE WHEN jsonb_typeof(n.options -> 'attachments') = 'array' THEN n.options -> 'attachments' ELSE '[]' END
                  AS value
           ) AS list
     CROSS JOIN LATERAL jsonb_array_elements(list.value) WITH ORDINALITY AS named (value, position)
     CROSS JOIN LATERAL (
           SELECT CASE WHEN jsonb_typeof(named.value) = 'string' THEN left(named.value #>> '{}', 100)
                       ELSE '<' || jsonb_typeof(named.value) || '>' END AS shown
           ) AS shown
     CROSS JOIN LATERAL (
           SELECT shown.shown, translate(replace(replace(shown.shown, 'urn:', ''), 'uuid:', ''), '{}-', '') AS digits
           ) AS word
     WHERE n.notification_id = cast(:id AS bigint) AND named.position <= cast(:most AS bigint) + 1
),
found AS MATERIALIZED (
    SELECT named.*, a.filename, a.content_type, octet_length(a.content) AS bytes,
           named.position = min(named.position) OVER (PARTITION BY named.attachment_id) AS first,
           sum(octet_length(a.content)) OVER () AS bytes_in_all
      FROM named
      LEFT JOIN noti.attachments a ON a.attachment_id = named.attachment_id AND a.tenant_id = named.tenant_id
)
SELECT found.position, found.shown, found.attachment_id, found.filename, found.content_type, found.files, found.bytes_in_all,
       a.content
  FROM found
  LEFT JOIN noti.attachments a
    ON a.attachment_id = found.attachment_id AND a.tenant_id = found.tenant_id AND found.first AND found.bytes IS NOT NULL
   AND found.files <= cast(:most AS bigint) AND found.bytes_in_all <= cast(:most_bytes AS bigint)
 ORDER BY found.position;
