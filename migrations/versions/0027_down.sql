DELETE FROM noti.tenant_tables WHERE name = 'template_versions';
DELETE FROM noti.rights
 WHERE object IN ('template_versions', 'languages', 'default_languages', 'template_names', 'template_texts', 'publish')
    OR columns IN ('{template_version}', '{template}');
DROP TRIGGER templates_version ON noti.templates;
DROP TRIGGER template_versions_immutable ON noti.template_versions;
DROP TRIGGER template_versions_newest ON noti.template_versions;
DROP FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text, text,
  text, jsonb, jsonb, text, int);
