-- Where this is.
select
  current_database()::text,
  current_user::text,
  current_setting('server_version_num')::int,
  shobj_description((select oid from pg_database where datname = current_database()), 'pg_database')
