-- Whether this is a standby: the register of workers is unlogged, so that one has nothing of it.
SELECT pg_is_in_recovery() AS standby;
