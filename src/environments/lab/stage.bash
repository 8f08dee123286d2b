# Lays out the root of a lab's host, joins it to the bridge and becomes bubblewrap. Runs as root of the host's own
# user namespace, with network and mount namespaces of its own: all that is made here ends with the host.
#   stage.bash NAME ADDRESS NETWORK SIZE ARCHIVE -- BWRAP ARGUMENTS...
set -eu
name=$1 address=$2 network=$3 size=$4 archive=$5
shift 6
# Whoever is in the host makes no user namespace, in which it would be root of something.
echo 0 >/proc/sys/user/max_user_namespaces
mount -t tmpfs -o "size=$size,nr_inodes=200k,mode=755" machine /tmp
cd /tmp
tar -x --numeric-owner -f "/proc/self/fd/$archive"
exec {archive}<&-
echo "$name" >tree/etc/hostname
ssh-keygen -q -t ed25519 -N '' -C "$name" -f tree/etc/ssh/ssh_host_ed25519_key </dev/null &
# userxattr: without it removing directories fails in a user namespace.
mount -t overlay -o lowerdir=/usr,upperdir=upper,workdir=work,userxattr usr tree/usr
for which in all default; do
  setting=/proc/sys/net/ipv6/conf/$which/disable_ipv6
  [[ ! -e $setting ]] || echo 1 >"$setting"
done
ip -batch - <<END
link set lo up
address add $address/24 dev eth0
link set eth0 up
END
nft -f - <<END
table inet lab {
  chain arriving {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ip saddr $network ip daddr $network accept
  }
  chain leaving {
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ip saddr $network ip daddr $network accept
  }
  chain passing {
    type filter hook forward priority 0; policy drop;
  }
}
END
wait
exec "$@"
