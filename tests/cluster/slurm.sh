# shellcheck shell=bash
# A Slurm of its own over the hosts of hosts.sh, for tests: munge with a new key, slurmctld on h1, slurmd on each host.
# Everything lies in $hosts and ends with hosts_down. Sourced behind hosts.sh.
#
#   slurm_check                 ends the test with 1 where a package is missing
#   slurm_up 2 [GPUS]           nodes h1, h2, each with 16 CPUs and, if told, so many GPUs (device nodes without a device)
#   slurm sbatch ...            a client command, on h1 in this folder
#   slurm_wait SECONDS JOB PATTERN       until the state of the job fits the pattern: 'RUNNING', 'COMPLETED|FAILED'
#   slurm_job JOB FIELD         JobState, ExitCode, Restarts, ... of `scontrol show job`
#   slurm_restarted JOB N       true once the job was requeued N times (it starts 7 s later)
#   slurm_crash 2               h2 loses its power; slurm_boot 2 starts it again

slurm_check() {
  local tool missing=()
  for tool in munged slurmctld slurmd sbatch srun; do command -v "$tool" > /dev/null || missing+=("$tool"); done
  if [ ${#missing[@]} -gt 0 ]; then
    echo "not installed: ${missing[*]} (job_scripts/bootstrap.sh installs them)" >&2
    exit 1
  fi
}

slurm() { on_host 1 "$@"; }

# What does not stand here is Slurm's default. Each host has a folder for temporary files, because PMIx's have one name.
slurm_conf() { # NODES GPUS
  local i g
  cat << END
ClusterName=test
SlurmctldHost=h1(10.77.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$hosts/munge.sock,cred_expire=5
StateSaveLocation=$hosts/state
SlurmdSpoolDir=$hosts/spool/%n
SlurmctldPidFile=$hosts/slurmctld.pid
SlurmdPidFile=$hosts/slurmd.%n.pid
PlugStackConfig=$hosts/plugstack.conf
TmpFS=$hosts/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=${SLURM_KILL_WAIT:-30}
SlurmdTimeout=${SLURMD_TIMEOUT:-60}
MailProg=/bin/true
PropagateResourceLimits=NONE
END
  if [ "$2" -gt 0 ]; then echo "GresTypes=gpu"; fi
  for ((i = 1; i <= $1; ++i)); do
    echo "NodeName=h$i NodeAddr=10.77.0.$i CPUs=16 RealMemory=2000 $([ "$2" -eq 0 ] || echo "Gres=gpu:$2")"
  done
  echo "PartitionName=main Nodes=h[1-$1] Default=YES State=UP"
}

slurm_up() {
  local nodes=$1 gpus=${2:-0} i g
  [ -n "${hosts:-}" ] && [ -e "$hosts/networks" ] || hosts_up "$nodes" || return 1
  mkdir -p "$hosts"/{state,spool,dev,slurm_log}
  : > "$hosts/plugstack.conf"
  (umask 077 && head -c 128 /dev/urandom > "$hosts/munge.key")
  slurm_conf "$nodes" "$gpus" > "$hosts/slurm.conf"
  for ((i = 1; i <= nodes; ++i)); do
    for ((g = 0; g < gpus; ++g)); do
      mknod "$hosts/dev/h$i-gpu$g" c 1 3  # Slurm wants character devices; these are like /dev/null
      echo "NodeName=h$i Name=gpu File=$hosts/dev/h$i-gpu$g"
    done
  done > "$hosts/gres.conf"
  export SLURM_CONF=$hosts/slurm.conf

  slurm_daemon 1 munged munged --foreground --force --key-file="$hosts/munge.key" --socket="$hosts/munge.sock" \
    --pid-file="$hosts/munged.pid" --log-file="$hosts/slurm_log/munge" --seed-file="$hosts/munge.seed"
  hosts_wait 30 slurm munge -S "$hosts/munge.sock" -n || return 1
  slurm_daemon 1 slurmctld slurmctld -D -f "$SLURM_CONF"
  for ((i = 1; i <= nodes; ++i)); do slurm_node "$i"; done
  if ! hosts_wait 90 slurm_idle "$nodes"; then
    tail -n 15 "$hosts"/slurm_log/*
    return 1
  fi
}

# In the foreground, so that the kernel ends it with the test.
slurm_daemon() { # HOST NAME COMMAND...
  at_host "$1"
  setpriv --pdeathsig KILL "${at[@]}" "${@:3}" > "$hosts/slurm_log/$2" 2>&1 < /dev/null &
  disown $!
}

slurm_node() {
  rm -rf "$hosts/spool/h$1" "$hosts/tmp/h$1"
  mkdir -p "$hosts/spool/h$1" "$hosts/tmp/h$1"
  slurm_daemon "$1" "slurmd.h$1" slurmd -D -N "h$1" -f "$SLURM_CONF"
}

slurm_crash() {
  host_link "$1" down
  host_kill "$1"
}
slurm_boot() {
  host_link "$1" up
  slurm_node "$1"
}

slurm_idle() { [ "$(slurm sinfo -h -N -t idle -o %N | wc -l)" -eq "$1" ]; }
slurm_job() { slurm scontrol show job -o "$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }
slurm_restarted() { [ "$(slurm_job "$1" Restarts)" -ge "$2" ]; }
slurm_state_is() { [[ $(slurm_job "$1" JobState) =~ ^($2)$ ]]; }
slurm_is_over() { [[ $(slurm_job "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT)$ ]]; }
slurm_wait() {
  hosts_wait "$1" eval "slurm_state_is $2 '$3' || slurm_is_over $2"
  slurm_state_is "$2" "$3" && return
  echo "job $2 is $(slurm_job "$2" JobState) instead of $3"
  return 1
}
