# shellcheck shell=bash
# Jobs of the tiny net under the Slurm of slurm.sh. Sourced behind training/common.sh, hosts.sh and slurm.sh.
#
#   jobs_up 2 [GPUS]                   the cluster, data, environment of the jobs; this folder becomes $here/elsewhere
#   submit RUN SCRIPT "key=value ..." [sbatch options]    sets `job`; the configuration is $here/RUN.cfg
#   steps RUN                          how many steps are recorded; at_step RUN N waits for that many
#   log_of JOB                         its output; says JOB TEXT: a problem if the text is not in it
#   is_state JOB STATE CODE RESTARTS   a problem if it has ended otherwise
project=$(dirname "$TESTS")

jobs_up() {
  hosts_check
  slurm_check
  trap hosts_down EXIT
  synth data
  mkdir "$here/elsewhere"
  cd "$here/elsewhere" || exit 1
  export LDMPI=$PROGRAM LDMPI_HOME=$project
  slurm_up "$@" || { problem "Slurm does not come up"; finish; }
}

# configuration RUN STEPS: without what a job's command line will say.
configuration() {
  cat > "$here/$1.cfg" << END
output_dir = $here/$1
max_train_steps = $2
total_batch_size = 8
seed = 7
[model]
config = $TESTS/training/tiny_unet.json
[data]
path = $here/data
[log]
tensorboard = off
END
}

submit() {
  local run=$1 script=$2 words=$3
  shift 3
  [ -e "$here/$run.cfg" ] || configuration "$run" 400
  # shellcheck disable=SC2086  # words
  job=$(slurm sbatch --parsable "$@" "$project/job_scripts/$script" "$here/$run.cfg" $words) ||
    { problem "$run is not accepted"; finish; }
}

steps() { losses "$1" 2> /dev/null | wc -l; }
has_steps() { [ "$(steps "$1")" -ge "$2" ]; }
at_step() { hosts_wait 120 has_steps "$1" "$2" || { problem "$1 does not get to step $2"; tail -5 ./*.out; finish; }; }
log_of() { cat "ldmpi-$1.out"; }
says() { grep -Eq -- "$2" "ldmpi-$1.out" || { problem "job $1 does not say '$2':"; tail -15 "ldmpi-$1.out"; }; }

is_state() {
  slurm_wait 240 "$1" "$2" || { problem "job $1"; tail -15 "ldmpi-$1.out"; return; }
  local code restarts
  code=$(slurm_job "$1" ExitCode) restarts=$(slurm_job "$1" Restarts)
  [ "$code $restarts" = "$3 $4" ] ||
    { problem "job $1 has ended with $code after $restarts restarts, not with $3 after $4"; tail -15 "ldmpi-$1.out"; }
}
