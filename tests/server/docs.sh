#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The guide of the server: its commands are run, its files read by the programs that they are for, where those are installed.
# docs.sh PROGRAM MAKE_SERVED MAKE_VIDEO SOURCE
set -u
program=$1 source=$4 page=$4/docs/serving.md
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
passed=0 failed=0
verdict() { # NAME CODE
    if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $1" && cat "$work/said"; fi
}
# part KIND N: the N-th block of a kind.
part() { awk -v kind="$1" -v n="$2" '$0 == "```" { on = 0 } on { print } $0 == "```" kind { on = ++seen == n }' "$page"; }
# free_port: one that nobody listens at now.
free_port() {
    local port
    while port=$((20000 + RANDOM % 20000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo $port
}

mkdir "$work/bin" && ln -s "$(realpath "$program")" "$work/bin/tubelet"
export PATH=$work/bin:$PATH
cd "$work" || exit 1
"$2" runs/first 4 16 3 && "$3" clip.mp4 mpeg4 yuv420p 16x16 12 25 || exit 1
plain=$(free_port) sealed=$(free_port)
[ "$(grep -c '^```sh$' "$page")" = 3 ]
verdict "three blocks of commands" $?
for n in 1 2 3; do part sh $n | sed "s/:8000/:$plain/g; s/8443/$sealed/g; s/tubelet serve runs\/first &/tubelet serve runs\/first --port $plain \&/" >"$n.sh"; done

. ./1.sh >said 2>&1
grep -q ready said && grep -q '"name":"first"' said
verdict "a first server" $?
bash 2.sh >said 2>&1 && grep -q '"name":"label","datatype":"BYTES","shape":\[1\]' said
verdict "a file by hand" $?
if command -v openssl >/dev/null; then
    . ./3.sh >said 2>&1
    grep -q '"name":"first"' said
    verdict "a token and TLS" $?
    ! curl -sf --cacert host.pem "https://127.0.0.1:$sealed/v2/models/first" >said 2>&1
    verdict "no answer without the token" $?
else
    echo "skipped: TLS (no openssl)"
fi

# The files.
part ini 1 >tubelet.service
if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/local/bin/tubelet|$work/bin/tubelet|" tubelet.service >unit.service
    systemd-analyze verify --man=no ./unit.service >said 2>&1 && ! grep -q "unit.service:" said
    verdict "the unit of systemd" $?
else
    echo "skipped: the unit of systemd (no systemd-analyze)"
fi
part nginx 1 | sed "s/127.0.0.1:8000/127.0.0.1:$plain/; s/listen 8080/listen 127.0.0.1:$(free_port)/" >site.conf
if command -v nginx >/dev/null; then
    front=$(sed -n 's/.*listen 127.0.0.1:\([0-9]*\);/\1/p' site.conf)
    printf 'pid %s/nginx.pid; error_log %s/nginx.log; daemon off; events {} http { access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s; include %s/site.conf; }\n' \
        "$work" "$work" "$work" "$work" "$work" "$work" "$work" "$work" >nginx.conf
    nginx -t -c "$work/nginx.conf" -e "$work/nginx.log" >said 2>&1
    verdict "nginx takes its file" $?
    nginx -c "$work/nginx.conf" -e "$work/nginx.log" 2>nginx.err &
    curl -sf --retry 60 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$front/v2/health/ready" >said 2>&1
    verdict "ready behind nginx" $?
    sed "s/:$plain/:$front/" 2.sh >behind.sh
    bash behind.sh >said 2>&1 && grep -q '"name":"probs"' said
    verdict "a file through nginx" $?
else
    echo "skipped: nginx (not installed)"
fi
# No container is made here: its file has known instructions only, and what it installs is what the modules say they run with.
part dockerfile 1 >Dockerfile
awk 'NF && $1 !~ /^(FROM|WORKDIR|COPY|RUN|USER|EXPOSE|STOPSIGNAL|ENTRYPOINT)$/ { bad = 1; print } END { exit bad || NR < 10 }' Dockerfile >said
verdict "instructions of the container file" $?
: >said
for package in $(sed -n 's/^    {"\(video\|nifti\|yaml\|draw\|http\)".*/&/p' "$source/src/base/module.c" | grep -o '"lib[a-z0-9-]*[0-9]\( [a-z0-9 ]*\)\?"' | tr -d '"'); do
    grep -q " $package " Dockerfile || echo "$package is not installed" >>said
done
[ ! -s said ]
verdict "packages of the container file" $?
ENTRY=$(sed -n 's/^ENTRYPOINT \[\(.*\)\]$/\1/p' Dockerfile | tr -d '",')
[ "$ENTRY" = "tubelet serve /models --bind 0.0.0.0" ]
verdict "the container's command" $?

kill -TERM $(jobs -p) 2>/dev/null
wait
[ $failed = 0 ] || echo "[  FAILED  ] $failed test(s)"
echo "[  PASSED  ] $passed test(s)."
[ $failed = 0 ]
