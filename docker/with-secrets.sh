#!/bin/sh
# Give a program the secrets that are mounted as files, each under the name of the variable that it reads, and become it.
set -eu
for file in /run/secrets/[A-Z]*; do
  if [ -f "$file" ]; then
    export "$(basename "$file")=$(cat "$file")"
  fi
done
exec "$@"
