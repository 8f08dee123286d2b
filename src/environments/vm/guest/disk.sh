#!/bin/sh
# Makes the disk out of the packed root and this image's own keys: disk.sh ROOT.TAR KEYS BYTES
set -eu
trap 'rm -rf root' EXIT
mkdir root
tar --extract --file "$1" --directory root --numeric-owner --preserve-permissions
install -m 600 "$2/host_key" root/etc/ssh/host_key
install -d -m 755 root/etc/ssh/keys
install -m 644 "$2/agent_key.pub" root/etc/ssh/keys/agent
cp root/boot/vmlinuz-* kernel
cp root/boot/initrd.img-* initrd
chmod 644 kernel initrd
mke2fs -q -t ext4 -m 0 -i 32768 -J size=16 -d root disk.raw "$(($3 / 1024))"
