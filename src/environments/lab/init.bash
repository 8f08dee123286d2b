# Process 1 of a lab's host: no signal from inside can end it. It keeps the SSH server and reaps orphans.
# Orders come as lines "NUMBER VERB", each is answered with "NUMBER done" or "NUMBER failed" and why.
#   know          followed by lines of known hosts and ".": make the lab's hosts known to one another
#   silence       kill the SSH server and its sessions; what they started lives on
#   serve         start it again
# Arguments: limits of open files, processes, KiB of address space, processor seconds.
ulimit -c 0 -n "$1" -u "$2" -v "$3" -t "$4" || exit 1
shift 4

exec {never}<> <(:) # reading from it is how to wait without starting a program
serve() {
  rm -f /run/sshd.pid
  (
    # The kernel, short of memory, ends what came in over SSH before it ends process 1.
    echo 500 >/proc/self/oom_score_adj
    exec /usr/sbin/sshd -D -E /var/log/sshd.log {never}<&-
  ) </dev/null >/dev/null 2>>/var/log/sshd.log &
  until [[ -s /run/sshd.pid ]]; do
    kill -0 $! 2>/dev/null || return 1
    read -r -t 0.002 -u "$never"
  done
  return 0
}

silence() {
  local process
  for process in /proc/[0-9]*; do
    [[ ! $process/exe -ef /usr/sbin/sshd ]] || kill -KILL "${process#/proc/}"
  done 2>/dev/null
  wait
}

know() {
  local line
  while read -r line && [[ $line != . ]]; do
    echo "$line"
  done >/etc/ssh/ssh_known_hosts
}

serve || {
  cat /var/log/sshd.log >&2
  exit 1
}
read -r kind key _ </etc/ssh/ssh_host_ed25519_key.pub
echo "ready $kind $key"
while read -r number verb; do
  case $verb in
  know | silence | serve) "$verb" ;;
  *) false ;;
  esac
  if (($? == 0)); then echo "$number done"; else echo "$number failed $(tail -n 1 /var/log/sshd.log)"; fi
done
