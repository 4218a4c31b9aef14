DROP TRIGGER limits_change ON noti.limits;
DELETE FROM noti.rights WHERE object IN ('limits', 'limits_revision', 'buckets', 'limit_pace', 'allow', 'slow');
