-- Everything that the rows of one batch refer to: templates, attachments, and how the last try ended.
--
-- Templates and attachments are asked for once each, however many rows name them, and only together with
-- their tenant. Losses and stale results are no tries that say anything about an account.
\set template_tenants 'array[''default'']'
\set template_ids 'array[''welcome'']'
\set attachment_tenants 'array[''default'']'
\set attachment_ids 'array[''00000000-0000-0000-0000-000000000001'']'
\set retried 'array[1, 2]'
SELECT 'template' AS what, t.tenant_id, t.template_id AS name, t.subject, t.body, t.html,
       NULL::text AS filename, NULL::text AS content_type, NULL::bytea AS content,
       NULL::bigint AS notification_id, NULL::text AS account, NULL::text AS kind
  FROM unnest(cast(:template_tenants AS text[]), cast(:template_ids AS text[])) AS wanted (tenant_id, template_id)
  JOIN noti.templates t ON t.tenant_id = wanted.tenant_id AND t.template_id = wanted.template_id
UNION ALL
SELECT 'attachment', a.tenant_id, a.attachment_id::text, NULL, NULL, NULL,
       a.filename, a.content_type, a.content, NULL, NULL, NULL
  FROM unnest(cast(:attachment_tenants AS text[]), cast(:attachment_ids AS uuid[])) AS wanted (tenant_id, attachment_id)
  JOIN noti.attachments a ON a.attachment_id = wanted.attachment_id AND a.tenant_id = wanted.tenant_id
UNION ALL
SELECT 'try', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       wanted.notification_id, last.account, last.kind
  FROM unnest(cast(:retried AS bigint[])) AS wanted (notification_id)
 CROSS JOIN LATERAL (
       SELECT t.account, t.kind
         FROM noti.notification_attempts_log t
        WHERE t.notification_id = wanted.notification_id AND t.status NOT IN ('lost', 'stale')
        ORDER BY t.log_id DESC
        LIMIT 1
       ) AS last;
