-- Whether tenants are isolated.
SELECT noti.isolated() AS isolated;
