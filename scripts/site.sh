# One origin and one node for a script, on free ports and with folders below $site; they end with the script.
# To be sourced, with $nearside (the binary) and $site (a folder) set.

site_start() {
    mkdir -p "$site"
    "$nearside" origin --listen 127.0.0.1:0 --data "$site/origin" >"$site/origin.out" 2>"$site/origin.log" &
    site_processes=($!)
    trap 'kill "${site_processes[@]}" 2>/dev/null || true' EXIT
    site_origin=$(site_address origin 1)
    "$nearside" host --listen 127.0.0.1:0 --admin 127.0.0.1:0 --origin "$site_origin" \
        --token-file "$site/origin/token" --data "$site/node" >"$site/node.out" 2>"$site/node.log" &
    site_processes+=($!)
    site_node=$(site_address node 1)
    site_admin=$(site_address node 2)
}

# The address in the nth line that the origin or the node prints once it listens.
site_address() {
    local address=
    for _ in $(seq 300); do
        address=$(sed -n "$2s|.*\(http://[^ ]*\).*|\1|p" "$site/$1.out")
        [ -n "$address" ] && { echo "$address"; return; }
        sleep 0.1
    done
    echo "the $1 does not start; the end of its log:" >&2
    tail -5 "$site/$1.log" >&2
    return 1
}

# Pushes an app (folder, name) and waits until the node serves it: a component of ten megabytes takes its time to compile.
site_push() {
    "$nearside" push "$1" --origin "$site_origin" --token-file "$site/origin/token" >>"$site/push.log" 2>&1 || {
        tail -3 "$site/push.log" >&2
        return 1
    }
    for _ in $(seq 3000); do
        curl -sf "$site_admin/status" | grep -q "\"$2\"" && return
        sleep 0.1
    done
    echo "the node does not serve $2; the end of its log:" >&2
    tail -5 "$site/node.log" >&2
    return 1
}

# The body of a request to an app (name, path, more for curl).
site_get() {
    curl -sS --max-time 20 -H "host: $1.localhost" "$site_node$2" "${@:3}"
}
