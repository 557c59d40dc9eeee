# Changes one file so that at every moment, a loss of power included, either the old or the new bytes are there.
# POSIX sh with GNU coreutils >= 8.24 (`sync FILE` is fsync) and util-linux' flock. Called as
#   write   LOCK PATH KIND EXPECT BACKUP SHA MODE OWNER     new bytes on standard input
#   remove  LOCK PATH KIND EXPECT BACKUP
#   restore LOCK PATH KIND EXPECT BACKUP
#   retain  LOCK PATH KIND EXPECT BACKUP                    keeps the before-image, whatever is there, and changes nothing
# KIND: disk, or pmxcfs (/etc/pve: FUSE without modes, owners and fsync; PVE writes there as `file.tmp.PID` and renames).
# EXPECT: SHA-256 of the present bytes, or `absent`. BACKUP: a folder, or empty for none.
# The output is one line, `WORD DETAIL`; the caller knows the words.
set -u
LC_ALL=C
export LC_ALL
umask 077
op=$1 lock=$2 path=$3 kind=$4 expect=$5 backup=$6
shift 6
tab=$(printf '\t')
dir=${path%/*}
[ -n "$dir" ] || dir=/
if [ "$kind" = pmxcfs ]; then tmp=$path.tmp.transom; else tmp=${path%/*}/.${path##*/}.transom; fi

say() { printf '%s %s\n' "$1" "${2-}"; exit 0; }
broke() { say broke "$1"; }
flush() { [ "$kind" = pmxcfs ] || sync "$@"; }
digest() { set -- "$(sha256sum < "$1")" || return 1; printf '%s' "${1%% *}"; }
attributes() { if [ "$kind" = disk ]; then stat -c '%04a %u:%g' "$path"; else printf -- '- -'; fi; }

# The present content: a hash, or `absent`. Nothing but a regular file is ever replaced.
present() {
    if [ -L "$path" ]; then say refused "is a symbolic link to $(readlink "$path")"; fi
    if [ ! -e "$path" ]; then
        case $(stat "$path" 2>&1) in
            *'No such file or directory'*) now=absent; return ;;
            *) broke "cannot look at it" ;;
        esac
    fi
    [ -f "$path" ] || say refused "is not a regular file"
    now=$(digest "$path") || broke "cannot read it"
}

unchanged() {
    before=$now
    present
    [ "$now" = "$before" ] || say changed "$now"
}

# Looks a path up in the manifest: path, what was there (file, absent, dir), hash, mode, owner, mtime.
recorded() {
    [ -f "$backup/manifest" ] || return 1
    while IFS=$tab read -r name was image mode_was owner_was _; do
        [ "$name" = "$1" ] && return
    done < "$backup/manifest"
    return 1
}

# Adds a line for a path that has none: the first one names the oldest image, and that is the one to go back to.
note() {
    recorded "$1" && return
    list=$backup/manifest
    { [ ! -f "$list" ] || cat "$list"; printf "%s$tab%s$tab%s$tab%s$tab%s$tab%s\n" "$@"; } > "$list.new" ||
        broke "cannot write $list.new"
    { sync "$list.new" && mv -fT "$list.new" "$list" && sync "$backup"; } || broke "cannot keep $list"
}

# Makes a missing folder and its parents with mode $2; `noted` ones are in the manifest before they exist.
folder() {
    [ -d "$1" ] && return
    case $1 in */*) folder "${1%/*}" "$2" "$3" ;; *) return ;; esac
    if [ "$3" = noted ] && [ -n "$backup" ]; then note "$1" dir - "$2" - -; fi
    mkdir -m "$2" "$1" || broke "cannot make $1"
    parent=${1%/*}
    sync "${parent:-/}" || broke "cannot sync ${parent:-/}"
}

# Before-image and manifest line of the present file, durable before anything is replaced.
keep() {
    [ -n "$backup" ] || return 0
    recorded "$path" && return
    if [ "$now" = absent ]; then note "$path" absent - - - -; return; fi
    image=$backup/$now
    if [ ! -f "$image" ]; then
        cat "$path" > "$image.new" || broke "cannot keep its before-image in $backup"
        [ "$(digest "$image.new")" = "$now" ] || say changed "$(digest "$path")"
        { sync "$image.new" && mv -fT "$image.new" "$image" && sync "$backup"; } || broke "cannot keep $image"
    fi
    note "$path" file "$now" $(stat -c '%04a %u:%g %Y' "$path")
}

# New bytes beside the target, from standard input: hash, mode, owner.
stage() {
    cat > "$tmp" || broke "cannot write $tmp"
    got=$(digest "$tmp")
    [ "$got" = "$1" ] || say torn "$got"
    if [ "$kind" = disk ]; then
        # Owner first: chown clears set-id bits.
        { [ -z "$3" ] || chown "$3" "$tmp"; } || broke "cannot give it to $3"
        chmod "$2" "$tmp" || broke "cannot set mode $2"
    fi
    flush "$tmp" || broke "cannot sync $tmp"
}

swap() {
    unchanged
    mv -fT "$tmp" "$path" || broke "cannot rename $tmp"
    flush "$dir" || broke "cannot sync $dir"
    present
    [ "$now" = "$1" ] || say differs "$now"
}

retain() {
    present
    folder "$backup" 0700 silent
    keep
    say kept "$now"
}

discard() {
    unchanged
    rm -f "$path" || broke "cannot remove it"
    flush "$dir" || broke "cannot sync $dir"
    present
    [ "$now" = absent ] || say differs "$now"
}

parents() {
    [ "$kind" = disk ] || [ -d "$dir" ] || broke "its folder is missing"
    folder "$dir" 0755 "$1"
}

write() {
    sha=$1 mode=$2 owner=$3
    present
    have=
    [ "$now" = absent ] || have=$(attributes)
    [ -n "$owner" ] || owner=${have#* }
    want="$mode $owner"
    [ "$kind" = disk ] || want='- -'
    if [ "$now" = "$sha" ] && [ "$have" = "$want" ]; then say same "$now"; fi
    [ "$now" = "$expect" ] || [ "$now" = "$sha" ] || say changed "$now"
    [ -z "$backup" ] || folder "$backup" 0700 silent
    parents noted
    stage "$sha" "$mode" "$owner"
    keep
    swap "$sha"
    say written "$now"
}

remove() {
    present
    [ "$now" = absent ] && say same absent
    [ "$now" = "$expect" ] || say changed "$now"
    [ -z "$backup" ] || folder "$backup" 0700 silent
    keep
    discard
    say removed absent
}

restore() {
    recorded "$path" || say unkept "has no before-image in $backup"
    present
    [ "$was" = absent ] && vanish
    [ "$was" = file ] || say unkept "has no before-image in $backup"
    sha=$image
    [ "$kind" = disk ] || { mode_was=- owner_was=-; }
    if [ "$now" = "$sha" ] && [ "$(attributes)" = "$mode_was $owner_was" ]; then say same "$now"; fi
    [ "$now" = "$expect" ] || [ "$now" = "$sha" ] || say changed "$now"
    [ "$(digest "$backup/$sha")" = "$sha" ] || say unkept "has a damaged before-image in $backup"
    parents silent
    stage "$sha" "$mode_was" "$owner_was" < "$backup/$sha"
    swap "$sha"
    say restored "$now"
}

vanish() {
    verb=same
    if [ "$now" != absent ]; then
        [ "$now" = "$expect" ] || say changed "$now"
        verb=restored
        discard
    fi
    # Folders that were made for the file go again, unless somebody put something else there.
    gone=$dir
    while recorded "$gone" && [ "$was" = dir ] && rmdir "$gone" 2>/dev/null; do
        verb=restored
        gone=${gone%/*}
        sync "${gone:-/}" || broke "cannot sync ${gone:-/}"
    done
    say "$verb" absent
}

folder "${lock%/*}" 0755 silent
exec 9>> "$lock"
flock -w 10 9 || say busy "$lock"
# Under the lock nobody else is writing: what lies there was left by a run that was killed.
rm -f "$tmp"
trap 'rm -f "$tmp"' EXIT
"$op" "$@"
