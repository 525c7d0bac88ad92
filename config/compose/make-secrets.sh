#!/bin/sh
# Makes, once, what docker-compose.yml needs beside the image: the secrets (files of mode 0600 in ./secrets) and .env.
# Nothing that exists is ever overwritten, so it may be run again, for example after an update that needs a new secret.
#   ./config/compose/make-secrets.sh         one Kafka broker that flushes every message
#   ./config/compose/make-secrets.sh --ha    three Kafka brokers, replication 3, min ISR 2
set -eu
umask 077

usage() {
  echo "usage: $0 [--ha]" >&2
  exit 2
}

profile=single replication=1
case "${1-}" in
  '') ;;
  --ha) profile=ha replication=3 ;;
  *) usage ;;
esac
[ $# -le 1 ] || usage

cd "$(dirname "$0")/../.."
mkdir -p secrets
chmod 700 secrets

# The containers run as whoever owns the secrets, because Compose hands files on with their owner and mode. Never root.
user=$(id -u) group=$(id -g)
if [ "$user" -eq 0 ]; then
  user=1000 group=1000
  chown "$user:$group" secrets
fi

# keep FILE: standard input becomes the file, unless there is one. Complete or not at all: a name is given at the end.
keep() {
  if [ -e "$1" ]; then
    echo "kept     $1"
    cat >/dev/null
    return
  fi
  new=$(mktemp "$1.XXXXXX")
  cat >"$new"
  [ "$(id -u)" -ne 0 ] || chown "$user:$group" "$new"
  ln "$new" "$1"
  rm "$new"
  echo "made     $1"
}

# 32 random bytes in base64url, without the padding and the newline.
random() {
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

for name in credential-key tls-ticket-key metrics-token mariadb-root-password mariadb-password influx-admin-password influx-admin-token; do
  random | keep "secrets/$name"
done
# API keys begin so, in order to be recognised where they do not belong.
printf 'slk_%s' "$(random)" | keep secrets/admin-token
printf 'mariadb://sluice:%s@mariadb:3306/sluice' "$(cat secrets/mariadb-password)" | keep secrets/mariadb-url

keep .env <<EOF
# Read by docker compose. Made by config/compose/make-secrets.sh.
SLUICE_USER=$user:$group
COMPOSE_PROFILES=$profile
LOG_REPLICATION=$replication
EOF
