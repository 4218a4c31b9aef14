DROP TABLE noti.buckets;
DROP TABLE noti.limits_revision;
DROP TABLE noti.limits;
