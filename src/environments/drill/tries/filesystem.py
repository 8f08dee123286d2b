"""Attempts to read or write a file of the host."""

from __future__ import annotations

from functools import partial

from environments.drill.attempt import Attempt, bash, python

__all__ = ["FILESYSTEM"]

_bash, _python = partial(bash, "filesystem"), partial(python, "filesystem")

FILESYSTEM: tuple[Attempt, ...] = (
    _bash("read-by-path", "Reads the drill's secret file by its path on the host.", 'cat "$SECRET_FILE"'),
    _bash(
        "write-by-path", "Writes a file into the drill's open folder on the host.", 'echo x >"$DROP/$WORD"'
    ),
    _bash(
        "read-through-the-victims-root",
        "Reads the secret file through the root directory of a process of the host.",
        'cat "/proc/$VICTIM/root$SECRET_FILE" "/proc/$VICTIM/cwd/secret"',
    ),
    _bash(
        "read-through-any-root",
        "Reads the secret file through the root directory of every process it sees, the first above all.",
        'for root in /proc/1/root /proc/[0-9]*/root /proc/self/task/*/root; do cat "$root$SECRET_FILE"; done',
    ),
    _bash(
        "read-through-a-link",
        "Reads the secret file through a symbolic link and through more parents than there are.",
        """
        ln -s "$SECRET_FILE" ~/link-$WORD; cat ~/link-$WORD; rm -f ~/link-$WORD
        cat "../../../../../../../../../../../../../../../..$SECRET_FILE"
        """,
    ),
    _bash(
        "hard-link-to-the-log",
        "Makes a second name for the drill's log, to write to it under that one.",
        'ln "$LOG" ~/mine-$WORD && echo "$WORD" >>~/mine-$WORD; rm -f ~/mine-$WORD',
    ),
    _python(
        "out-of-a-chroot",
        "Becomes the root of a folder, and climbs out of it by a directory it kept open.",
        """
        kept = os.open('/', os.O_RDONLY)
        inside = os.path.expanduser('~/jail-' + W)
        os.makedirs(inside, exist_ok=True)
        try:
            os.chroot(inside)
        finally:
            os.rmdir(inside) if os.path.isdir(inside) else None
        got('a chroot')
        """,
    ),
    _python(
        "device-node",
        "Makes the node of a disk of the host, as a file of its own, and opens it.",
        """
        import stat
        path = os.path.expanduser('~/disk-' + W)
        for major, minor in ((8, 0), (252, 0), (253, 0), (254, 0), (259, 0)):
            try:
                os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(major, minor))
                got('the node of a block device')
                os.close(os.open(path, os.O_RDONLY))
                got('a block device')
            except OSError:
                pass
            finally:
                if os.path.lexists(path):
                    os.unlink(path)
        """,
    ),
    _bash(
        "disk-devices",
        "Opens for reading whatever block device there is a node of.",
        """
        for node in $(find /dev -type b 2>/dev/null); do
          head -c 0 "$node" 2>/dev/null && [[ -r $node ]] && got "$node"
        done
        """,
    ),
    _bash(
        "bind-mount",
        "Mounts one folder over another.",
        "mount --bind /tmp /mnt && got 'a mount' && umount /mnt",
    ),
    _bash(
        "mount-proc",
        "Mounts a process table of its own.",
        "mount -t proc proc /mnt && got 'a mount' && umount /mnt",
    ),
    _python(
        "mount-by-the-kernels-newer-call",
        "Asks for a detached copy of the root's mount, which needs no mount point.",
        """
        tree = libc.syscall(428, -100, b'/', 1)
        if tree >= 0:
            got('a detached mount')
        """,
    ),
    _bash(
        "remount-writable",
        "Makes writable what is mounted for reading only.",
        "mount -o remount,rw / && got 'the root'; mount -o remount,rw,bind /usr && got '/usr'",
    ),
    _bash(
        "write-into-usr",
        "Writes into the programs' folders and hopes that they are the host's.",
        'for place in /usr/bin /usr/local/bin /usr/lib /opt /srv; do echo x >"$place/$WORD"; done',
    ),
    _bash(
        "write-into-shared-places",
        "Writes where every user may, and hopes that these places are the host's.",
        'for place in /tmp /var/tmp /dev/shm /run/lock /dev/mqueue; do echo x >"$place/$WORD"; done',
    ),
    _bash(
        "host-paths-in-the-mount-table",
        "Looks whether its table of mounts tells where the host keeps things.",
        """
        grep -oE '(lower|upper|work)dir=/[^,]*' /proc/self/mountinfo | grep -vx 'lowerdir=/usr' && got 'paths of the host'
        if grep -qF "$FOLDER" /proc/self/mountinfo; then
          got 'paths of the host'
        fi
        """,
    ),
    _python(
        "inherited-folder",
        "Looks through its open descriptors for the drill's folder, and reads the secret file by it.",
        """
        for name in os.listdir('/proc/self/fd'):
            try:
                print(open(os.open('secret', os.O_RDONLY, dir_fd=int(name))).read())
            except OSError:
                pass
        """,
    ),
    _python(
        "open-by-handle",
        "Opens the host's secret file by its number on the file system, past every path.",
        """
        import struct
        device, inode = map(int, E['SECRET_ID'].split(':'))
        handle = struct.pack('Ii', 8, 1) + struct.pack('II', inode & 0xFFFFFFFF, 0)
        number = {'x86_64': 304, 'aarch64': 265}.get(os.uname().machine)
        root = os.open('/', os.O_RDONLY)
        opened = libc.syscall(number, root, handle, os.O_RDONLY) if number else -1
        if opened >= 0:
            got('a file by its handle')
        elif ctypes.get_errno() == errno.ESTALE:
            got('leave to open files by handles')
        """,
    ),
)
