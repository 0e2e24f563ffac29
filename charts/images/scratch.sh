#!/bin/sh
# Builds an image of Merit FROM scratch, out of the packages of the Debian that this runs on, checks what is in it and runs
# it. No registry is needed: buildah and apt-get are all. The binary must have been built on the same Debian.
#
#   charts/images/scratch.sh BINARY WORKDIR [NAME:TAG]
#
# Leaves the image in the store WORKDIR/storage and as the archive WORKDIR/merit.tar (OCI).
set -eu

binary=$1 work=$2 name=${3:-merit:0.1.0}
# libc for everything; libgcc and libstdc++ for ONNX Runtime; authorities for calls over TLS; zones for logs.
packages="libc6 libgcc-s1 libstdc++6 ca-certificates tzdata"
uid=65532

root=$work/root
rm -rf "$root" "$work/packages" "$work/storage" "$work/run"
mkdir -p "$root" "$work/packages"
store="--root $work/storage --runroot $work/run --storage-driver vfs"

(cd "$work/packages" && apt-get -o APT::Sandbox::User=root download -qq $packages)
for package in "$work"/packages/*.deb; do
    dpkg-deb --extract "$package" "$root"
done

# A link like the distribution's own, then only what is used.
for folder in bin sbin lib lib64; do
    if [ -d "$root/$folder" ] && [ ! -L "$root/$folder" ]; then
        mkdir -p "$root/usr/$folder"
        cp -a "$root/$folder/." "$root/usr/$folder/"
        rm -rf "${root:?}/$folder"
    fi
    [ ! -d "$root/usr/$folder" ] || ln -sfn "usr/$folder" "$root/$folder"
done
mkdir -p "$root/etc/ssl/certs"
cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root/usr/sbin" "$root/sbin" "$root/usr/share/ca-certificates" "$root/usr/share/man" "$root/usr/share/lintian" \
    "$root/usr/share/gdb" "$root/usr/share/gcc" "$root/usr/share/locale" "$root/usr/lib/x86_64-linux-gnu/gconv" \
    "$root/usr/lib/aarch64-linux-gnu/gconv" "$root/usr/share/zoneinfo/right" "$root/etc/ca-certificates" "$root/usr/lib/locale"
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/bin" -type f -delete 2>/dev/null || true

install -D -m 0755 "$binary" "$root/usr/bin/merit"
mkdir -p "$root/etc/merit" "$root/var/cache/merit" "$root/tmp"
chmod 1777 "$root/tmp"
chown "$uid:$uid" "$root/var/cache/merit"
echo "merit:x:$uid:$uid:Merit:/var/cache/merit:/usr/sbin/nologin" > "$root/etc/passwd"
echo "merit:x:$uid:" > "$root/etc/group"
echo "hosts: files dns" > "$root/etc/nsswitch.conf"

# Contents: nothing that raises privileges, no shell, no file that others may write, every library that is asked for.
fail() { echo "image: $1" >&2; exit 1; }
[ -z "$(find "$root" -perm /6000)" ] || fail "a file has the set-user-id or set-group-id bit"
[ -z "$(find "$root" -type f -perm /0002)" ] || fail "a file can be written by all"
[ "$(ls "$root/usr/bin")" = merit ] || fail "other programs than merit: $(ls "$root/usr/bin")"
[ ! -e "$root/bin/sh" ] || fail "there is a shell"
for library in $(objdump -p "$root/usr/bin/merit" | awk '$1 == "NEEDED" { print $2 }') libstdc++.so.6; do
    find -L "$root/lib" "$root/lib64" -name "$library" 2>/dev/null | grep -q . || fail "no $library"
done

container=$(buildah $store from scratch)
buildah $store copy --quiet "$container" "$root" / > /dev/null
buildah $store config --user "$uid:$uid" --entrypoint '["/usr/bin/merit"]' --cmd '["serve","--config","/etc/merit/config.yaml"]' \
    --port 50051 --port 9190 --env MERIT_ASSETS= --workingdir / \
    --label org.opencontainers.image.title=merit --label org.opencontainers.image.licenses=Apache-2.0 "$container"
buildah $store config --env MERIT_ASSETS- "$container"
buildah $store commit --quiet "$container" "$name" > /dev/null
[ "$(buildah $store inspect --type image --format '{{.OCIv1.Config.User}}' "$name")" = "$uid:$uid" ] || fail "another user"
buildah $store push --quiet "$name" "oci-archive:$work/merit.tar" > /dev/null

# It runs, as that user: it reads a document, serves it, and its probe finds it serving.
run() { buildah $store run --isolation chroot --user "$uid:$uid" "$@"; }
cat > "$work/config.yaml" <<END
version: v0.3
providers: {models: [{name: a, backend_refs: [{endpoint: "127.0.0.1:1"}]}]}
END
chmod 0644 "$work/config.yaml"
buildah $store copy --quiet "$container" "$work/config.yaml" /etc/merit/config.yaml > /dev/null
run "$container" /usr/bin/merit --version
run "$container" /usr/bin/merit check /etc/merit/config.yaml
# Models are no part of the image; where there are some (MERIT_MODELS), their libraries load in it and they answer.
if [ -n "${MERIT_MODELS:-}" ]; then
    example=$(cd "$(dirname "$0")/../../examples/assistant" && pwd)
    run --volume "$MERIT_MODELS:/opt/merit/models:ro" --volume "$example:/etc/example:ro" "$container" /usr/bin/merit explain \
        --config /etc/example/config.yaml --models /opt/merit/models "Prove that the square root of two is irrational." \
        > "$work/explained"
    grep -q 'domains: math' "$work/explained" || fail "models do not answer: $(cat "$work/explained")"
    echo "models answer"
fi
run "$container" /usr/bin/merit serve --config /etc/merit/config.yaml --listen 127.0.0.1:50951 --admin 127.0.0.1:50952 \
    --metrics 127.0.0.1:50953 --drain-seconds 1 > "$work/serve.log" 2>&1 &
served=$!
run "$container" /usr/bin/merit probe 127.0.0.1:50951 || { cat "$work/serve.log"; fail "it does not serve"; }
merit=$(pgrep -u "$uid" -f '^/usr/bin/merit serve .*127.0.0.1:50951')
[ -n "$merit" ] || fail "it does not run as $uid"
kill -TERM "$merit"
wait "$served" || fail "it did not stop in order"

echo "image: $name, user $uid, $(find "$root" -type f | wc -l) files, $(du -sm "$root" | cut -f1) MiB, $(du -m "$work/merit.tar" | cut -f1) MiB packed"
buildah $store rm "$container" > /dev/null
