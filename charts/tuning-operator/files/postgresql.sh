# Starts PostgreSQL on $PGDATA, made on first start with the password in the file $POSTGRES_PASSWORD_FILE.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --pgdata "$PGDATA" --username postgres --pwfile "$POSTGRES_PASSWORD_FILE" --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
# A node that went away leaves this behind; nothing else can use the volume (ReadWriteOnce, one replica).
rm -f "$PGDATA/postmaster.pid"
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c max_connections="${MAX_CONNECTIONS:-300}"
