-- Write down which quotas will be used up by what waits.
SELECT noti.watch_quotas() AS "full";
