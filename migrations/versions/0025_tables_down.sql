DROP TABLE noti.account_versions;
DROP TABLE noti.secrets;
DROP TABLE noti.routes;
DROP TABLE noti.accounts;
DROP SEQUENCE noti.versions;
