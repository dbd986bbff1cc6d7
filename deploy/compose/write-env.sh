#!/bin/sh
# Makes the secrets of deploy/compose.yaml: `deploy/compose/write-env.sh` writes deploy/.env, which git ignores.
set -eu
file=${1:-$(dirname "$0")/../.env}
[ ! -e "$file" ] || { echo "$file exists: remove it first if its secrets shall change" >&2; exit 1; }
umask 077
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
for name in POSTGRES_PASSWORD REPLICATION_PASSWORD OWNER_PASSWORD ENGINE_DATABASE_PASSWORD API_DATABASE_PASSWORD \
  REDIS_PASSWORD MONGODB_PASSWORD PROCESSOR_PASSWORD ENGINE_TOKEN FEED_KEY PEER_KEY PAN_KEY JWT_SECRET \
  GRAFANA_PASSWORD; do
  echo "$name=$(secret)"
done > "$file"
echo "wrote $file"
