# Lays out a machine's root and becomes bubblewrap. Runs in a fresh user and mount namespace, so every
# mount below dies with the machine and none is ever visible on the host.
#   stage.sh STAGE SKELETON SIZE -- BWRAP ARGUMENTS...
set -eu
# The host says go once this process is inside its fences: nothing begins before.
read -r _
stage=$1 skeleton=$2 size=$3
shift 4
mount -t tmpfs -o "size=$size,nr_inodes=200k,mode=755" machine "$stage"
cd "$stage"
cp -R "$skeleton/." .
# userxattr: without it removing directories fails in a user namespace. Relative names: the mount options
# are readable inside, and must not tell where the host keeps them.
mount -t overlay -o lowerdir=/usr,upperdir=upper,workdir=work,userxattr usr tree/usr
exec "$@"
