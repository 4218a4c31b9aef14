-- Send oneself a notification: a listener that does not hear it sits behind something that swallows them.
\set token '''example'''
SELECT pg_notify('noti_wake_check', cast(:token AS text));
