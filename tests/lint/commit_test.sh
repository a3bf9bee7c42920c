#!/usr/bin/env bash
# The commit in the build (cmake/commit.cmake): of a checkout, changed or not, and of a tarball. commit_test.sh CMAKE ROOT
set -eu
cmake=$1 root=$2
command -v git >/dev/null || exit 77
here=$(mktemp -d "${TMPDIR:-/tmp}/ldmpi-commit-XXXXXX")
trap 'rm -rf "$here"' EXIT
tree=$here/outer/tree
mkdir -p "$tree/cmake"
cp "$root/cmake/write_commit.cmake" "$tree/cmake"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CEILING_DIRECTORIES=$here
git() { command git -C "$1" -c user.name=test -c user.email=test@localhost "${@:2}"; }

# says EXPRESSION: what the generated file says about the tree.
says() {
  "$cmake" "-DFILE=$here/commit.cpp" -P "$tree/cmake/write_commit.cmake"
  grep -Eq "return \"$1\";" "$here/commit.cpp" || { echo "not $1:"; cat "$here/commit.cpp"; exit 1; }
}
says unknown
git "$here/outer" init -q
git "$here/outer" commit -q --allow-empty -m outer
says unknown # the tarball lies inside of somebody else's repository
git "$tree" init -q
git "$tree" add .
git "$tree" commit -q -m first
hash=$(git "$tree" rev-parse HEAD)
says "${hash:0:12}"
touch -d '1 hour ago' "$here/commit.cpp"
before=$(stat -c %Y "$here/commit.cpp")
says "${hash:0:12}"
[ "$(stat -c %Y "$here/commit.cpp")" = "$before" ] || { echo "written anew without a change"; exit 1; }
echo '# changed' >>"$tree/cmake/write_commit.cmake"
says "${hash:0:12}[+]"
