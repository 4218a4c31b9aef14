DROP TABLE noti.full_quotas;
DROP TABLE noti.spent;
DROP TABLE noti.usage;
DROP TABLE noti.buckets;
DROP TABLE noti.limits_revision;
DROP TABLE noti.limits;
