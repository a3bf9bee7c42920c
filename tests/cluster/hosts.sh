# shellcheck shell=bash
# Hosts made of one machine, for tests across a network: each with a network, host name, /etc/hosts and sshd of its own,
# joined by a switch that leads nowhere else. They share the file system, /dev/shm and the process ids. Sourced; as root.
#
#   hosts_check                    ends the test with 77 and the reason where such hosts cannot be made
#   hosts_up 3                     h1, h2, h3 with the addresses 10.77.0.1, .2, .3; their files lie in $hosts
#   on_host 1 COMMAND...           runs it there, in this folder
#   at_host 1; "${at[@]}" COMMAND... &     the same in the background, so that $! is the command
#   host_rate 2 200mbit            the link of h2 carries that much in each direction; `none` as fast as it can
#   host_link 2 down               pulls its cable; `up` puts it back
#   host_kill 2                    kills everything that runs there but its sshd: a crash
#   hosts_down                     ends every process on the hosts, and the hosts. Put it into a trap of EXIT
#
# mpirun reaches the others by itself:  on_host 1 mpirun --host h1,h2,h3 --bind-to none -np 3 PROGRAM
# (--bind-to none: all hosts have the same cores. Variables other than OMPI_* come along by -x NAME only.)
# There is no delay or loss to be had from tc here, only rates. If the test is killed, the hosts go within a second.

hosts_check() {
  local tool missing=()
  [ "$(id -u)" -eq 0 ] || { echo "skipped: hosts of network namespaces need root" >&2; exit 77; }
  for tool in ip tc nsenter unshare setpriv ssh-keygen; do command -v "$tool" > /dev/null || missing+=("$tool"); done
  [ -x /usr/sbin/sshd ] || missing+=(sshd)
  if [ ${#missing[@]} -gt 0 ]; then
    echo "not installed: ${missing[*]} (job_scripts/bootstrap.sh installs them)" >&2
    exit 1
  fi
  unshare --net --uts --mount true 2> /dev/null || { echo "skipped: this root may make no namespaces" >&2; exit 77; }
  unshare --net ip link add name br0 type bridge 2> /dev/null || { echo "skipped: no bridges in this kernel" >&2; exit 77; }
}

# hosts_wait SECONDS COMMAND...: until it succeeds.
hosts_wait() {
  local end=$((SECONDS + $1))
  shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

hosts_away() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }  # true in its own network

hosts_in_switch() { nsenter --target "$switch_pid" --net "$@"; }

# hosts_processes NAMESPACE: ids of the processes in that network, e.g. net:[4026532231].
hosts_processes() {
  local process
  for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/ns/net" 2> /dev/null)" = "$1" ]; then echo "${process#/proc/}"; fi
  done
}

# hosts_kill FOLDER: every process of its networks, until none is left.
hosts_kill() {
  local network pids
  while read -r network; do
    while mapfile -t pids < <(hosts_processes "$network") && [ ${#pids[@]} -gt 0 ]; do
      kill -KILL "${pids[@]}" 2> /dev/null || true
      sleep 0.02
    done
  done < "$1/networks"
}

hosts_up() {
  local count=$1 i
  hosts=$(mktemp -d "${TMPDIR:-/tmp}/ldmpi-hosts-XXXXXX")
  chmod 755 "$hosts"
  mkdir -p /run/sshd
  ssh-keygen -q -t ed25519 -N '' -f "$hosts/key"
  ssh-keygen -q -t ed25519 -N '' -f "$hosts/hostkey"
  install -m 600 "$hosts/key.pub" "$hosts/authorized_keys"
  { echo '127.0.0.1 localhost'; for ((i = 1; i <= count; ++i)); do echo "10.77.0.$i h$i"; done; } > "$hosts/hosts"
  printf '%s\n' '#!/bin/sh' "exec ssh -F none -i '$hosts/key' -o BatchMode=yes -o StrictHostKeyChecking=no \
-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=20 \"\$@\"" > "$hosts/ssh"
  chmod 755 "$hosts/ssh"
  export OMPI_MCA_plm_rsh_agent=$hosts/ssh

  # Each namespace lives as long as a process in it; the kernel ends these with the test.
  setpriv --pdeathsig KILL unshare --net sleep infinity &
  switch_pid=$!
  host_pid=()
  for ((i = 1; i <= count; ++i)); do
    # shellcheck disable=SC2016  # expands inside
    setpriv --pdeathsig KILL unshare --net --uts --mount bash -c '
      mount --bind "$1/hosts" /etc/hosts && hostname "h$2" && exec /usr/sbin/sshd -D -e -f /dev/null -h "$1/hostkey" \
        -o "AuthorizedKeysFile=$1/authorized_keys" -o StrictModes=no -o UsePAM=no -o PidFile=none' \
      hosts.sh "$hosts" "$i" > "$hosts/sshd.$i.log" 2>&1 < /dev/null &
    host_pid[i]=$!
  done
  disown "$switch_pid" "${host_pid[@]}"
  for i in "$switch_pid" "${host_pid[@]}"; do
    hosts_wait 20 hosts_away "$i" || return 1
    readlink "/proc/$i/ns/net"
  done > "$hosts/networks"
  hosts_after_me

  hosts_in_switch ip link add br0 type bridge
  hosts_in_switch ip link set br0 up
  for ((i = 1; i <= count; ++i)); do
    ip link add eth0 netns "${host_pid[i]}" type veth peer name "p$i" netns "$switch_pid" || return 1
    hosts_in_switch ip link set "p$i" master br0 up
    nsenter --target "${host_pid[i]}" --net ip link set lo up
    nsenter --target "${host_pid[i]}" --net ip addr add "10.77.0.$i/24" dev eth0
    nsenter --target "${host_pid[i]}" --net ip link set eth0 up
  done
  for ((i = 1; i <= count; ++i)); do hosts_wait 30 on_host 1 "$hosts/ssh" "h$i" true || return 1; done
}

# Whatever happens to the test: a process beside it waits for its end. It holds the networks open, so that their numbers
# cannot be given to others meanwhile.
hosts_after_me() {
  # shellcheck disable=SC2016
  setsid --fork bash -c '
    folder=$1 test=$2; shift 3
    for pid in "$@"; do exec {fd}< "/proc/$pid/ns/net"; done
    tail --pid="$test" -f /dev/null
    . "$0"
    if [ -e "$folder/networks" ]; then hosts_kill "$folder"; rm -rf "$folder"; fi
  ' "${BASH_SOURCE[0]}" "$hosts" $$ -- "$switch_pid" "${host_pid[@]}" > /dev/null 2>&1 < /dev/null
}

at_host() {
  # shellcheck disable=SC2034  # the caller's
  at=(nsenter --target "${host_pid[$1]}" --net --uts --mount -- env -C "$PWD")
}

on_host() {
  at_host "$1"
  shift
  "${at[@]}" "$@"
}

host_rate() {
  local i=$1 rate=$2
  if [ "$rate" = none ]; then
    nsenter --target "${host_pid[i]}" --net tc qdisc del dev eth0 root 2> /dev/null || true
    hosts_in_switch tc qdisc del dev "p$i" root 2> /dev/null || true
  else
    nsenter --target "${host_pid[i]}" --net tc qdisc replace dev eth0 root tbf rate "$rate" burst 256kb latency 100ms
    hosts_in_switch tc qdisc replace dev "p$i" root tbf rate "$rate" burst 256kb latency 100ms
  fi
}

host_link() { hosts_in_switch ip link set "p$1" "$2"; }

host_kill() {
  local pids
  while mapfile -t pids < <(hosts_processes "$(readlink "/proc/${host_pid[$1]}/ns/net")" | grep -vx "${host_pid[$1]}") &&
    [ ${#pids[@]} -gt 0 ]; do
    kill -KILL "${pids[@]}" 2> /dev/null || true
    sleep 0.02
  done
}

hosts_down() {
  if [ -z "${hosts:-}" ] || [ ! -e "$hosts/networks" ]; then return 0; fi
  hosts_kill "$hosts"
  rm -rf "$hosts"
}
