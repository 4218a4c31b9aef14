-- The revision of the schema.
SELECT version_num FROM noti.alembic_version;
