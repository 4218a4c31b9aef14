DELETE FROM noti.tenant_tables WHERE name IN ('contacts', 'preferences');
DELETE FROM noti.rights WHERE object IN ('contacts', 'preferences');
DROP TABLE noti.preferences;
DROP TABLE noti.contacts;
