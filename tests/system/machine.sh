#!/bin/sh
# Boots Debian's systemd as PID 1 over a copy-on-write overlay of this machine's root: what it changes is gone with it.
# Usage: machine.sh DIRECTORY PYTHON_PREFIX LIBRARIES SOURCE SHARED   (root only; ends when its process is killed)
set -eu
step=${6:-outside}
directory=$1 python=$2 libraries=$3 source=$4 shared=$5

if [ "$step" = outside ]; then
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$directory"
    mkdir "$directory/upper" "$directory/work" "$directory/root" "$directory/cgroup"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$directory/upper,workdir=$directory/work" "$directory/root"
    # A control group of its own, so that this systemd sees none but its own.
    mount -t cgroup2 none "$directory/cgroup"
    mkdir "$directory/cgroup/noti-test-$$"
    echo 0 > "$directory/cgroup/noti-test-$$/cgroup.procs"
    exec unshare --fork --kill-child --mount --pid --uts --ipc --cgroup \
        sh "$0" "$directory" "$python" "$libraries" "$source" "$shared" inside
fi

cd "$directory/root"
# Nothing of what this machine starts shall start a second time.
rm -rf etc/systemd/system/* usr/lib/systemd/system/*.target.wants etc/fstab var/log/journal tmp/* var/tmp/*
for unit in systemd-journald-audit.socket systemd-remount-fs.service; do
    ln -s /dev/null "etc/systemd/system/$unit"
done
mkdir usr/lib/systemd/system/sysinit.target.wants
ln -s ../systemd-journald.service usr/lib/systemd/system/sysinit.target.wants/

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mountpoint -q sys/fs/cgroup || mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done

# The program where the units expect it, as pip would have installed it.
mkdir -p opt/python opt/libraries opt/source opt/noti-worker/bin srv/database etc/noti-worker
mount --bind "$python" opt/python
mount --bind "$libraries" opt/libraries
mount --bind "$shared" srv/database
cp -r "$source/noti_worker" "$source/migrations" opt/source/
chmod -R a+rX opt/source
interpreter=$(cd opt/python/bin && ls -d python3.?? | head -n 1)
ln -s "/opt/python/bin/$interpreter" opt/noti-worker/bin/python
echo "home = /opt/python/bin" > opt/noti-worker/pyvenv.cfg
site="opt/noti-worker/lib/$interpreter/site-packages"
mkdir -p "$site"
printf '/opt/source\n/opt/libraries\nimport freeze\n' > "$site/house.pth"
# SIGUSR1 freezes the thread that runs the loop, and no other.
cat > "$site/freeze.py" << 'END'
import signal, threading
signal.signal(signal.SIGUSR1, lambda *_: threading.Event().wait())
END
cat > opt/noti-worker/bin/noti-worker << 'END'
#!/opt/noti-worker/bin/python
import sys
from noti_worker.cli.main import main
sys.exit(main())
END
chmod 755 opt/noti-worker/bin/noti-worker
cp "$source"/systemd/*.service etc/systemd/system/
echo /opt/python/lib > etc/ld.so.conf.d/python.conf
chroot . ldconfig 2> /dev/null

mkdir .outside
pivot_root . .outside
umount -l .outside
rmdir .outside
mount --make-rshared /   # credentials reach the services through shared mounts
exec env -i container=noti-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=no < /dev/null
