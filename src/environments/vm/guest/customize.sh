#!/bin/sh
# Runs inside the new root, as its root, after the packages are installed.
set -eu
own=/usr/lib/redline
chown -R root:root "$own"
chmod 755 "$own" "$own/init"
useradd --create-home --skel /dev/null --uid 1000 --shell /bin/bash --password '*' agent
usermod --password '*' root
install -m 644 "$own/sshd_config" /etc/ssh/sshd_config
rm -f "$own/sshd_config" "$own/customize" /etc/ssh/ssh_host_*
: >/etc/machine-id
printf 'machine\n' >/etc/hostname
printf '127.0.0.1 localhost machine\n' >/etc/hosts
: >/etc/resolv.conf
# There is one way to become root here, and it does not start at the agent.
find / -xdev -perm /6000 -type f -exec chmod a-s {} +
