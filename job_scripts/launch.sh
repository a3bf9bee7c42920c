# shellcheck shell=bash
# Sourced by the scripts that start ranks, with $home the folder of the project. Sets the array `program`.

# A site's modules and paths: job_scripts/env.sh, where it is (example: env.example.sh; bootstrap.sh --cuda writes one).
if [ -e "$home/job_scripts/env.sh" ]; then
  set +eu  # module systems are not written for these
  # shellcheck source=/dev/null
  . "$home/job_scripts/env.sh"
  set -eu
fi

# LDMPI: the program, or words in front of it: "apptainer exec --nv ldmpi.sif ldmpi".
LDMPI=${LDMPI:-$(command -v ldmpi || echo "$home/build/release/bin/ldmpi")}
if [ -x "$LDMPI" ]; then program=("$LDMPI"); else read -r -a program <<< "$LDMPI"; fi
if ! command -v "${program[0]}" > /dev/null; then
  echo "no program ${program[0]}: build it (job_scripts/quickstart.sh does), or set LDMPI" >&2
  exit 66
fi

# How many words are in a list with commas.
words_in() { tr ',' '\n' <<< "$1" | grep -c . || true; }

# A number of ranks, of the variable NAME.
require_number() {
  [[ $2 =~ ^[1-9][0-9]*$ ]] || { echo "$1=$2 is not a number of ranks" >&2; exit 78; }
}

# A lost host: mpirun notices after 30 s instead of eight minutes. Shorter interruptions are ridden out.
export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-10}
export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-5}
export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-4}
if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
