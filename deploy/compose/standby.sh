#!/bin/sh
# The standby: copies the primary at its first start, then follows it. PGPASSWORD is the replicator's.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --slot=standby --wal-method=stream --checkpoint=fast \
    --dbname="host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replicator application_name=standby"
fi
exec postgres "$@"
