-- The templates that the rows of a batch name, each once, and only together with their tenant; and what they are made of.
\set tenants 'array[''default'']'
\set ids 'array[''welcome'']'
\set channels 'array[''email'']'
\set languages 'array[''pt-BR pt'']'
\set versions 'array[0]'
SELECT t.place, t.tenant_id, t.channel, t.languages_asked, t.template_id, t.version, t.locale, t.subject, t.body, t.html, t.names
  FROM noti.template_texts(cast(:tenants AS text[]), cast(:ids AS text[]), cast(:channels AS text[]), cast(:languages AS text[]),
                           cast(:versions AS int[])) AS t;
