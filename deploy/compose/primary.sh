#!/bin/sh
# Runs once, when the primary makes its data: roles and database as docs/security.md has them, and the standby's slot.
# Passwords are hexadecimal (write-env.sh), so they need no quoting.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
CREATE ROLE afc_owner LOGIN PASSWORD '$OWNER_PASSWORD';
CREATE ROLE afc_engine LOGIN PASSWORD '$ENGINE_DATABASE_PASSWORD';
CREATE ROLE afc_api LOGIN PASSWORD '$API_DATABASE_PASSWORD';
CREATE ROLE replicator LOGIN REPLICATION PASSWORD '$REPLICATION_PASSWORD';
CREATE DATABASE atlanticfrewaycard OWNER afc_owner;
SELECT pg_create_physical_replication_slot('standby');
-- Last, and in force from the next start on: each commit would wait for a standby that does not exist yet.
ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby)';
SQL
echo 'host replication replicator samenet scram-sha-256' >> "$PGDATA/pg_hba.conf"
