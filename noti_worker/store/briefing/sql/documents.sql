-- The documents of rows as text, as far as they are no longer than :at_most bytes; of a longer one the text is NULL.
--
-- How long a document is as text only its text tells, and four kilobytes of jsonb can be a gigabyte of it: a number
-- like 1e131071 or 0e-16383 takes a few bytes. So no text is made before its numbers were found to be short, and
-- none of what is stored in more than :stored bytes or takes more than :opened bytes when it is decompressed. Up to
-- :glance bytes only the first kind is looked for, which costs half: of the second kind they hold a few megabytes.
\set ids 'array[1, 2]'
\set stored 16384
\set opened 32768
\set glance 2048
\set at_most 32768
SELECT wanted.id, document.name, CASE WHEN octet_length(written.text) <= cast(:at_most AS bigint) THEN written.text END AS text,
       document.name = 'options' AND document.value ? 'attachments' AS attachments
  FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
 CROSS JOIN LATERAL (
       SELECT n.template_data, n.options
         FROM noti.notifications_log n
        WHERE n.notification_id = wanted.id
        LIMIT 1
       ) AS n
 CROSS JOIN LATERAL (VALUES ('template_data', n.template_data), ('options', n.options)) AS document (name, value)
 CROSS JOIN LATERAL (
       SELECT CASE WHEN pg_column_size(document.value) <= cast(:stored AS bigint) THEN
              CASE WHEN pg_column_size(document.value || '{}') <= cast(:glance AS bigint)
                   THEN NOT document.value @? 'strict $.** ? (@ > 1e40 || @ < -1e40)'
                   WHEN pg_column_size(document.value || '{}') <= cast(:opened AS bigint)
                   THEN coalesce((
                        SELECT sum(scale(cast(found AS numeric))
                                   + CASE WHEN cast(found AS numeric) BETWEEN -1e40 AND 1e40 THEN 41
                                          WHEN cast(found AS numeric) BETWEEN -1e400 AND 1e400 THEN 401
                                          WHEN cast(found AS numeric) BETWEEN -1e4000 AND 1e4000 THEN 4001
                                          ELSE 131072 END)
                          FROM jsonb_path_query(document.value, 'strict $.** ? (@.type() == "number")') AS found
                        ), 0) <= cast(:at_most AS bigint) END
              END AS yes
       OFFSET 0
       ) AS short
 CROSS JOIN LATERAL (SELECT CASE WHEN short.yes THEN document.value::text END AS text OFFSET 0) AS written
 WHERE document.value IS NOT NULL;
