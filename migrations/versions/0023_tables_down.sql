DROP TABLE noti.settings;
DROP TABLE noti.tenants;
