#!/usr/bin/env bash
# Installs what building, running and testing ldmpi needs, from the packages of Debian 12 or Ubuntu 22.04 and newer.
# Quick where nothing is missing. Not root: prints the line to run, and ends with 77.
set -euo pipefail

usage="usage: job_scripts/bootstrap.sh [--dry-run] [--all]
  --dry-run  say what is missing, change nothing
  --all      also what tests/run.sh --all needs"
dry_run=no all=no
for word in "$@"; do
  case $word in
    --dry-run) dry_run=yes ;;
    --all) all=yes ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) echo "bootstrap.sh: unknown option $word" >&2; echo "$usage" >&2; exit 78 ;;
  esac
done

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  echo "bootstrap.sh: no apt-get here. This script knows Debian and Ubuntu; elsewhere install these by your own means:" \
       "a C++20 compiler, CMake >= 3.25, Ninja, Open MPI, HDF5, Boost.Program_options, oneDNN >= 2.6, nlohmann-json," \
       "spdlog, fmt, libpng, libjpeg-turbo, libwebp, libarchive, FreeType; then run quickstart.sh --no-bootstrap" >&2
  exit 69
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]; }

# Debian and Ubuntu name their libjpeg-turbo differently; Ubuntu's is asked for on Ubuntu only.
jpeg=libjpeg62-turbo-dev
if grep -qs '^ID=ubuntu' /etc/os-release; then jpeg=libjpeg-turbo8-dev; fi
packages=(g++ cmake ninja-build pkg-config openmpi-bin libopenmpi-dev libhdf5-dev libboost-program-options-dev
  libdnnl-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libpng-dev "$jpeg" libwebp-dev libarchive-dev
  libfreetype-dev dataset-fashion-mnist fonts-noto-color-emoji unicode-data
  libgtest-dev libgmock-dev libbenchmark-dev python3-h5py python3-numpy shellcheck  # of the tests, to the end
  python3-protobuf python3-prometheus-client tmux
  slurmctld slurmd slurm-client munge openssh-server openssh-client iproute2 procps)
if [ "$all" = yes ]; then packages+=(clang-14 libclang-rt-14-dev chromium python3-venv); fi

missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
if [ ${#missing[@]} -eq 0 ]; then
  echo "bootstrap: nothing is missing (${#packages[@]} packages)"
  exit 0
fi

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$dry_run" = yes ]; then
  echo "bootstrap: ${#missing[@]} of ${#packages[@]} packages are missing. It would run:"
  echo "$install"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "bootstrap: ${#missing[@]} packages are missing. Run this line, then this script again:" >&2
  echo "sudo $install"
  exit 77
fi

echo "bootstrap: installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }
try() { apt install -y --no-install-recommends "${missing[@]}" > "$log" 2>&1; }
# The lists may be absent or stale: then one update, and a second try.
if ! try; then
  apt update >> "$log" 2>&1 || true
  if ! try; then
    tail -n 20 "$log" >&2
    echo "bootstrap: apt-get could not install the packages (its last lines are above). Check the network and" \
         "/etc/apt/sources.list, then run: $install" >&2
    exit 69
  fi
fi
echo "bootstrap: done"
