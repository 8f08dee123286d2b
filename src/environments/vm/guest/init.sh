#!/bin/sh
# Process 1 of the machine: brings up what an agent and a judge need, and keeps it up.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
mount -o remount,nosuid,nodev,noexec,hidepid=invisible /proc
mount -o remount,nosuid /dev
mkdir -p /dev/shm /dev/virtio-ports
mount -o remount,nosuid,noexec,gid=5,mode=620,ptmxmode=666 /dev/pts
mount -t tmpfs -o nosuid,nodev,size=16m,mode=1777 tmpfs /dev/shm
mount -o remount,nosuid,nodev,noexec,size=16m,mode=755 /run
mkdir -p /run/sshd /run/lock

for module in virtio_console virtio_net virtio_rng pvpanic_pci; do
  modprobe -q "$module"
done
while read -r path value; do
  [ -e "/proc/sys/$path" ] && echo "$value" >"/proc/sys/$path"
done <<SETTINGS
kernel/sysrq 1
kernel/dmesg_restrict 1
kernel/kptr_restrict 2
kernel/unprivileged_bpf_disabled 1
user/max_user_namespaces 0
net/ipv6/conf/all/disable_ipv6 1
SETTINGS
hostname machine
ip link set lo up

# What this machine is to have was said on the kernel's command line; one without an address has no network.
for word in $(cat /proc/cmdline); do
  case $word in
    redline.address=*)
      ip link set eth0 up && ip address add "${word#*=}" dev eth0
      ;;
    redline.disk=*)
      free=$(($(stat --file-system --format '%f' /) - ${word#*=} / 4096))
      [ "$free" -gt 0 ] && echo "$free" >/sys/fs/ext4/vda/reserved_clusters
      ;;
  esac
done
for port in /sys/class/virtio-ports/*; do
  [ -e "$port/name" ] && ln -sf "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done

# What redline plants and judges with. It is root's alone, and spared when memory runs out.
control=/dev/virtio-ports/org.redline.control
(
  echo -1000 >/proc/self/oom_score_adj
  while [ -e "$control" ]; do
    HOME=/root USER=root sh /usr/lib/redline/attendant <>"$control" >&0 2>/dev/null
    sleep 0.5
  done
) &

# sshd says when it listens. That line is the machine's sign that it is up.
while :; do
  /usr/sbin/sshd -D -e 2>&1 | while read -r line; do
    case $line in
      "Server listening"*)
        read -r up rest </proc/uptime
        printf 'redline: sshd listens %s s after the kernel started\n' "$up" >/dev/console
        ;;
    esac
  done
  sleep 0.5
done &

while :; do
  wait
done
