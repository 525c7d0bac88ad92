#!/bin/sh
# Makes the folder of a site gateway: Mosquitto's configuration, password file and ACL file.
#   ./mosquitto/make-gateway.sh --out gateway --tenant demo --broker sluice.example.com:8883 \
#     --ca ca.pem --username gateway-north --password-file secret.txt
# The application that it logs in as is made on Sluice's side:
#   ./sluice applications add gateway-north --allow 'publish:t/demo/+/telemetry/#' --allow 'publish:t/demo/+/status' \
#     --allow 'subscribe:t/demo/+/cmd/#' --allow 'subscribe:t/demo/+/notice'
set -eu
umask 077

usage() {
  sed -n '2,4p' "$0" | sed 's/^# \{0,1\}//' >&2
  echo "  [--listen 127.0.0.1:1883] [--queue-mb 256] [--autosave-seconds 60] [--plaintext]" >&2
  [ $# -eq 0 ] || echo "$0: $1" >&2
  exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
out='' tenant='' broker='' ca='' username='' password_file='' listen=127.0.0.1:1883 queue=256 autosave=60 tls=on
while [ $# -gt 0 ]; do
  case "$1" in
    --plaintext) tls=off; shift; continue ;;
  esac
  [ $# -ge 2 ] || usage "$1 needs a value, or is not known"
  case "$1" in
    --out) out=$2 ;;
    --tenant) tenant=$2 ;;
    --broker) broker=$2 ;;
    --ca) ca=$2 ;;
    --username) username=$2 ;;
    --password-file) password_file=$2 ;;
    --listen) listen=$2 ;;
    --queue-mb) queue=$2 ;;
    --autosave-seconds) autosave=$2 ;;
    *) usage "$1 is not known" ;;
  esac
  shift 2
done
for name in out tenant broker username password_file; do
  eval "value=\$$name"
  [ -n "$value" ] || usage "--$(echo "$name" | tr _ -) is missing"
done
is() { printf '%s' "$2" | grep -Eqx "$1" || usage "$3"; }
is '[A-Za-z0-9_.-]{1,64}' "$tenant" '--tenant is not a name'
is '[A-Za-z0-9_.-]{1,64}' "$username" '--username is not the name of an application'
is '[^[:space:]@:]+:[0-9]{1,5}' "$broker" '--broker is not host:port'
is '[^[:space:]@:]+:[0-9]{1,5}' "$listen" '--listen is not address:port'
is '[1-9][0-9]{0,5}' "$queue" '--queue-mb is not a number'
is '[1-9][0-9]{0,5}' "$autosave" '--autosave-seconds is not a number'
password=$(cat "$password_file")
is '[A-Za-z0-9_.~+/=-]{1,256}' "$password" '--password-file holds something else than one secret'
if [ "$tls" = on ]; then
  [ -r "$ca" ] || usage '--ca is missing: the certificate that the broker is checked against'
else
  [ -z "$ca" ] || usage '--plaintext and --ca exclude each other'
fi
[ ! -e "$out/mosquitto.conf" ] || { echo "$0: $out/mosquitto.conf exists; nothing was changed" >&2; exit 1; }

mkdir -p "$out/data"
folder=$(cd "$out" && pwd)
case "$folder" in *[[:space:]@]*) usage "--out: Mosquitto cannot have a space or @ in $folder" ;; esac
security='# Without TLS the credentials and the readings can be read on the way.'
if [ "$tls" = on ]; then
  cp "$ca" "$folder/ca.pem"
  security="bridge_cafile $folder/ca.pem"
fi
cp "$here/gateway.acl" "$folder/acl"
: >>"$folder/passwd"
# Whole or not at all.
sed -e "s|@LISTEN_PORT@|${listen##*:}|" -e "s|@LISTEN_ADDRESS@|${listen%:*}|" -e "s|@FOLDER@|$folder|" \
  -e "s|@QUEUE_BYTES@|$((queue * 1024 * 1024))|" -e "s|@AUTOSAVE_SECONDS@|$autosave|" -e "s|@BROKER@|$broker|" \
  -e "s|@TLS@|$security|" -e "s|@USERNAME@|$username|" -e "s|@PASSWORD@|$password|" -e "s|@TENANT@|$tenant|" \
  "$here/gateway.conf" >"$folder/mosquitto.conf.new"
mv "$folder/mosquitto.conf.new" "$folder/mosquitto.conf"
# Started by root, Mosquitto reads and writes as a user of its own.
if [ "$(id -u)" -eq 0 ] && id mosquitto >/dev/null 2>&1; then chown -R mosquitto: "$folder"; fi

cat <<TEXT
Made $folder. Give each device of the site a login (asks for its password), then start the gateway:

  mosquitto_passwd $folder/passwd $tenant/pump-1
  mosquitto -c $folder/mosquitto.conf
TEXT
