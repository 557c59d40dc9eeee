# Gives VMs their start at boot back, which a run has taken: RUN/onboot below $base lists them. Read before deadman.sh.

owed() { set -- "$base"/*/onboot && [ -f "$1" ]; }

# Of the list in $folder, in which those stay that it cannot be given to. It needs a cluster that can be written to.
onboot_back() { [ ! -f "$folder/onboot" ] || within 300 give_starts; }

give_starts() {
    missed=
    while read -r vmid; do
        timeout -k 10 30 qm set "$vmid" --onboot 1 </dev/null || is_gone "$vmid" || missed="$missed$vmid$line"
    done <"$folder/onboot"
    [ -n "$missed" ] || { rm -f "$folder/onboot"; return; }
    printf %s "$missed" >"$folder/onboot.left" && touch -r "$folder/onboot" "$folder/onboot.left" && sync "$folder/onboot.left" && mv -f "$folder/onboot.left" "$folder/onboot"
}

# A VM that is deleted, or elsewhere, is not owed its start here.
is_gone() { [ -d /etc/pve/nodes ] && [ ! -f "/etc/pve/qemu-server/$1.conf" ]; }

# Starts before what it may need is there, and looks again and again: whoever runs the daemon, or a command, gives back first.
starts_units() {
    put "$units/$starts.timer" 644 <<UNIT && put "$units/$starts.service" 644 <<UNIT2 && ln -sfn "../$starts.timer" "$wants/$starts.timer"
[Unit]
Description=Transom: give VMs their start at boot back
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Timer]
OnCalendar=*:0/5
UNIT
[Unit]
Description=Transom: give VMs their start at boot back
ConditionPathExistsGlob=$base/*/onboot
ConditionPathExists=!$base/armed
After=pve-guests.service

[Service]
Type=oneshot
ExecStart=/bin/sh $base/deadman.sh starts
UNIT2
}

# Lists that are a quarter of an hour old.
starts() {
    locked 10 || exit 0
    [ ! -f "$base/armed" ] || exit 0
    for path in $(find "$base" -mindepth 2 -maxdepth 2 -name onboot -mmin +15); do
        folder=${path%/*}
        onboot_back
        rmdir "$folder" 2>/dev/null
    done
    owed || nothing_owed
}

nothing_owed() {
    [ -f "$base/armed" ] || remove_units
    rmdir "$base" 2>/dev/null
}

given() {
    [ -d "$base" ] || say given
    locked 10 || say busy "$lock"
    rm -f "$base"/*/onboot
    rmdir "$base/$1" 2>/dev/null
    nothing_owed
    say given
}

