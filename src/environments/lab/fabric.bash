# Process 1 of a lab, root of the lab's own user namespace: it holds the bridge and the keys, and with it every
# host of the lab ends. Orders come as lines "NUMBER VERB ...", each is answered with "NUMBER done" or
# "NUMBER failed" and why.
#   wire          followed by lines "PID PORT FIRST" and ".": give each host its ids and its cable
#   cut PORT      drop what passes a port of the bridge, in both directions
#   mend PORT     let it pass again
#   fabric.bash ADDRESS SHARE KEY...
set -eu
address=$1 share=$2
shift 2
mount -t proc proc /proc
# Over whatever this host has there; seen by nobody but this process and those who may look into it.
mount -t tmpfs -o size=1m,mode=700 keys /tmp
for key in "$@"; do
  ssh-keygen -q -t ed25519 -N '' -C "$key" -f "/tmp/$key" </dev/null &
done
for which in all default; do
  setting=/proc/sys/net/ipv6/conf/$which/disable_ipv6
  [[ ! -e $setting ]] || echo 1 >"$setting"
done
ip -batch - <<END
link add lab0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
address add $address/24 dev lab0
link set lo up
link set lab0 up
END
# Redline calls the hosts; no host calls here.
nft -f - <<END
table inet lab {
  chain arriving {
    type filter hook input priority 0; policy drop;
    iifname "lab0" meta l4proto tcp tcp flags & (syn | ack) != syn accept
    iifname "lab0" meta l4proto icmp accept
  }
}
END
wait
echo ready

wire() {
  local pid port first links=
  while read -r pid port first && [[ $pid != . ]]; do
    for ids in uid gid; do
      echo "0 $first $share" >"/proc/$pid/${ids}_map" || return
    done
    links+="link add $port up master lab0 type veth peer name eth0 netns $pid"$'\n'
  done
  ip -batch - <<<"$links"
}

set +e
while read -r number verb port; do
  said=unknown
  case $verb in
  wire) said=$(wire 2>&1) ;;
  cut) said=$(bridge link set dev "$port" state 0 2>&1 </dev/null) ;;
  mend) said=$(bridge link set dev "$port" state 3 2>&1 </dev/null) ;;
  *) false ;;
  esac
  if (($? == 0)); then echo "$number done"; else echo "$number failed ${said//$'\n'/; }"; fi
done
