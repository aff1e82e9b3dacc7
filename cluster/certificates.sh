#!/bin/sh
# Makes the certificates of a cluster with tls:// addresses: an authority, once, and one signed by
# it for each name. Give each machine ca.pem and its own two files. Keep ca-key.pem where nobody
# else can read it: whoever has it can join the cluster, and run code on it.
#
#   cluster/certificates.sh FOLDER [NAME...]      DAYS=825 is how long a NAME's one is valid
#
# What is there already stays, so that names can be added later. To replace one, delete its files.
set -eu
umask 077

if [ $# -eq 0 ]; then
  echo "usage: $0 FOLDER [NAME...], as in: $0 /etc/daskingest/tls scheduler worker client" >&2
  exit 2
fi
if ! command -v openssl >/dev/null; then
  echo "$0 needs openssl: install it, as with: apt-get install openssl" >&2
  exit 1
fi
folder=$1
shift
[ $# -gt 0 ] || set -- cluster
mkdir -p "$folder"
cd "$folder"

new_key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
if [ ! -e ca.pem ]; then
  # shellcheck disable=SC2086
  openssl req -x509 $new_key -keyout ca-key.pem -out ca.pem -days 3650 \
    -subj "/CN=daskingest cluster authority $(openssl rand -hex 4)" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>openssl.log ||
    { cat openssl.log >&2; exit 1; }
fi
for name in "$@"; do
  if [ ! -e "$name.pem" ]; then
    # shellcheck disable=SC2086
    { openssl req $new_key -keyout "$name-key.pem" -out "$name.csr" -subj "/CN=$name" &&
      openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial \
        -days "${DAYS:-825}" -out "$name.pem"; } 2>openssl.log || { cat openssl.log >&2; exit 1; }
    rm "$name.csr"
  fi
  echo "$PWD/$name.pem and $name-key.pem"
done
rm -f openssl.log
chmod 644 ./*.pem
chmod 600 ./*-key.pem
