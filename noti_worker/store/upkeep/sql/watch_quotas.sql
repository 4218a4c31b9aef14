-- Write down which quotas, and which bounds of tenants, will be used up by what waits.
SELECT noti.watch_quotas() + noti.watch_tenants() AS "full";
