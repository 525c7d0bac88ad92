#!/usr/bin/env bash
# Tries the image where no Docker engine is at hand: runs the Dockerfile's own steps, each stage in an empty folder, with
# only those files of the checkout that .dockerignore lets through; then starts the result as an unprivileged user who can
# write nothing but /data and /tmp. Knows the simple subset of Dockerfiles that this one is written in, and stops at
# anything else.
#   config/compose/try-image.sh [--dockerfile FILE] [--keep FOLDER]
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
dockerfile=$here/Dockerfile folder=
while [ $# -gt 0 ]; do
  case "$1" in
    --dockerfile) dockerfile=$2 && shift 2 ;;
    --keep) folder=$2 && shift 2 ;;
    *) echo "usage: $0 [--dockerfile FILE] [--keep FOLDER]" >&2 && exit 2 ;;
  esac
done

server=
finish() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  [ -n "$keep" ] || rm -rf "$folder"
}
keep=$folder
[ -n "$folder" ] || folder=$(mktemp -d)
trap finish EXIT
mkdir -p "$folder"
chmod 755 "$folder"

fail() {
  echo "try-image: $*" >&2
  exit 1
}

# The Node of the image, alone on the path beside the system's tools. Not linked: it may be below a folder of ours only.
mkdir -p "$folder/bin"
cp "$(readlink -f "$here/node_modules/.bin/node")" "$folder/bin/node"
npm=$(readlink -f "$(command -v npm)")
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$folder/bin/node" "$npm" >"$folder/bin/npm"
chmod 755 "$folder/bin/npm"
path=$folder/bin:/usr/local/bin:/usr/bin:/bin

# The build context. An allow-list, "*" and then "!name" per line, is all that is understood.
context=$folder/context
mkdir -p "$context"
allowed=0
while IFS= read -r line; do
  case "$line" in
    '' | '#'*) ;;
    '*') allowed=1 ;;
    '!'*)
      [ "$allowed" -eq 1 ] || fail ".dockerignore does not begin with *"
      cp -R "$here/${line#!}" "$context/"
      ;;
    *) fail ".dockerignore: cannot read '$line'" ;;
  esac
done <"$here/.dockerignore"
[ "$allowed" -eq 1 ] || fail ".dockerignore lets everything through"

declare -A stages=()
root= workdir=/ user= healthcheck= entrypoint= command=
environment=()

inside() {
  case "$1" in
    /*) echo "$root$1" ;;
    *) echo "$root$workdir/$1" ;;
  esac
}

start_stage() {
  local image=$1 as=${2-} name=${3-final}
  [ "$as" = AS ] || [ -z "$as" ] || fail "FROM: cannot read '$as'"
  [[ $image =~ ^node:([0-9]+\.[0-9]+\.[0-9]+)- ]] || fail "FROM: $image is not a Node of one version"
  [ "v${BASH_REMATCH[1]}" = "$("$folder/bin/node" --version)" ] || fail "the image has Node ${BASH_REMATCH[1]}, this checkout $("$folder/bin/node" --version)"
  root=$folder/$name workdir=/ environment=()
  mkdir "$root"
  stages[$name]=$root
}

copy() {
  local from=$context sources=()
  while [[ ${1-} == --* ]]; do
    case "$1" in
      --from=*) from=${stages[${1#--from=}]-} && [ -n "$from" ] || fail "COPY: no stage '$1'" ;;
      --chown=*) ;;
      *) fail "COPY: cannot read '$1'" ;;
    esac
    shift
  done
  sources=("${@:1:$#-1}")
  local target source
  target=$(inside "${!#}")
  for source in "${sources[@]}"; do
    [ -e "$from/$source" ] || fail "COPY: $source is not in the build context"
    if [ -d "$from/$source" ]; then
      mkdir -p "$target" && cp -R "$from/$source/." "$target"
    else
      mkdir -p "$(dirname "$target/x")" && cp "$from/$source" "$target"
    fi
  done
}

run_step() {
  case "$1" in
    *' /'* | *=/*) fail "RUN with an absolute path would leave the folder: $1" ;;
  esac
  # With the environment of whoever builds, as a registry or a certificate of their own comes from there.
  (cd "$root$workdir" && env -u NODE_PATH -u NODE_OPTIONS PATH="$path" sh -ec "$1") >&2
}

# A JSON array of the Dockerfile as lines.
words() {
  "$folder/bin/node" -e 'for (const word of JSON.parse(process.argv[1])) console.log(word)' "$1"
}

step() {
  local instruction=$1 rest=$2
  echo "try-image: $instruction $rest" >&2
  # Words without quotes are all that COPY, ENV and FROM have here.
  # shellcheck disable=SC2086
  case "$instruction" in
    FROM) start_stage $rest ;;
    WORKDIR) workdir=$rest && mkdir -p "$root$rest" ;;
    COPY) copy $rest ;;
    RUN) run_step "$rest" ;;
    ENV) environment+=($rest) ;;
    USER) user=$rest ;;
    HEALTHCHECK) healthcheck="[${rest#*CMD [}" ;;
    ENTRYPOINT) entrypoint=$rest ;;
    CMD) command=$rest ;;
    EXPOSE | STOPSIGNAL | ARG) ;;
    *) fail "cannot run $instruction" ;;
  esac
}

while IFS= read -r line; do
  case "$line" in
    '' | '#'*) continue ;;
    *\\) fail "continued lines are not understood" ;;
  esac
  step "${line%% *}" "${line#* }"
done <"$dockerfile"

# Nothing of the checkout's development may be in the image, nor anything beside what runs.
development=$("$folder/bin/node" -p '
  const { packages } = require(process.argv[1])
  Object.keys(packages).filter((path) => packages[path].dev === true).join("\n")' "$here/package-lock.json")
while IFS= read -r path_in_lock; do
  [ ! -e "$root/app/$path_in_lock" ] || fail "the image holds the development dependency $path_in_lock"
done <<<"$development"
for name in test load-tests docs secrets .git .env; do
  [ ! -e "$root/app/$name" ] || fail "the image holds $name"
done
[[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "the user of the image is '$user'"

# Somebody else's files cannot be written by an unprivileged user; our own are made unwritable.
mkdir -p "$root/tmp"
as_user=()
if [ "$(id -u)" -eq 0 ]; then
  chown -R "$user" "$root/data" "$root/tmp"
  as_user=(setpriv "--reuid=${user%:*}" "--regid=${user#*:}" --clear-groups)
else
  chmod -R a-w "$root/app"
  trap 'chmod -R u+w "$folder"; finish' EXIT
fi

# The settings of the image, with its paths in the folder and ports that are free.
read -r mqtt http ops < <("$folder/bin/node" -e '
  const servers = [0, 0, 0].map(() => require("node:net").createServer().listen(0, "127.0.0.1"))
  let open = 0
  for (const it of servers) it.on("listening", () => {
    if (++open < servers.length) return
    console.log(servers.map((server) => server.address().port).join(" "))
    for (const server of servers) server.close()
  })')
settings=("PATH=$path" HOME=/nonexistent "TMPDIR=$root/tmp")
for entry in "${environment[@]}"; do
  case "$entry" in
    *=/*) settings+=("${entry%%=*}=$root${entry#*=}") ;;
    *) settings+=("$entry") ;;
  esac
done
settings+=("BIND_ADDRESS=127.0.0.1" "MQTT_PORT=$mqtt" "HTTP_PORT=$http" "OPS_PORT=$ops")
mapfile -t entry_words < <(words "$entrypoint")
mapfile -t command_words < <(words "$command")
mapfile -t health_words < <(words "$healthcheck")

in_image() {
  (cd "$root$workdir" && exec "${as_user[@]}" env -i "${settings[@]}" "$@")
}

# All that a service imports is loaded before its settings are read: that it complains of one proves the files complete.
for entry in services/broker/main.ts services/ingest-worker/main.ts services/query-api/main.ts config/compose/influx-tokens.ts; do
  [ -e "$root/app/$entry" ] || fail "the image lacks $entry"
  output=$(in_image "${entry_words[@]}" "$entry" 2>&1) && fail "$entry started without its settings"
  grep -q ': not set;' <<<"$output" || fail "$entry: $output"
  echo "loads    $entry"
done

in_image "${entry_words[@]}" services/cli/main.ts --help | grep -q '^Usage: sluice' || fail "no help"
echo "helps    services/cli/main.ts --help"

(cd "$root$workdir" && exec "${as_user[@]}" env -i "${settings[@]}" "${entry_words[@]}" "${command_words[@]}") \
  >"$folder/stdout" 2>"$folder/stderr" &
server=$!
for _ in $(seq 60); do
  in_image "${health_words[@]}" 2>/dev/null && healthy=yes && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.5
done
[ "${healthy-}" = yes ] || fail "not healthy: $(cat "$folder/stderr")"
echo "healthy  ${command_words[*]}"
kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" -eq 0 ] || fail "SIGTERM ended it with code $code: $(tail -n 3 "$folder/stderr")"
echo "stops    on SIGTERM"
in_image "${health_words[@]}" 2>/dev/null && fail "the health check finds a stopped service healthy"
echo "size     $(du -sm "$root/app" | cut -f1) MB without Node"
