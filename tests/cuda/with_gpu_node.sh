#!/usr/bin/env bash
# with_gpu_node.sh COMMAND...: runs it where /dev holds a file named like a GPU, in a mount namespace of its own. Ends
# with 77 where such a namespace cannot be made.
set -eu
if [ "${INSIDE_NAMESPACE:-no}" = no ]; then
  export INSIDE_NAMESPACE=yes
  for options in -m -rm; do
    if unshare $options true 2> /dev/null; then exec unshare $options "$0" "$@"; fi
  done
  echo "no mount namespaces here" >&2
  exit 77
fi
dev=$(mktemp -d)
for node in /dev/*; do
  if [ -L "$node" ]; then
    cp -P "$node" "$dev/"
  elif [ -d "$node" ]; then
    mkdir "$dev/${node##*/}"
    mount --rbind "$node" "$dev/${node##*/}"
  elif [ -e "$node" ]; then
    : > "$dev/${node##*/}"
    mount --bind "$node" "$dev/${node##*/}"
  fi
done
: > "$dev/nvidia0"
mount --rbind "$dev" /dev
unset INSIDE_NAMESPACE
exec "$@"
