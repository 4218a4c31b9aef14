DELETE FROM noti.tenant_tables WHERE name = 'kept_contents';
DELETE FROM noti.rights WHERE object IN ('kept_contents', 'erase_kept', 'erase_contacts') OR columns = '{keep_content}';
DROP TABLE noti.kept_contents;
ALTER TABLE noti.categories DROP COLUMN keep_content;
