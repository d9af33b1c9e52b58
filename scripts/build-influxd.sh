#!/usr/bin/env bash
# Builds InfluxDB 2 from its Go module into a folder, for `npm run test:clients`:
#   scripts/build-influxd.sh /opt/influxd && INFLUXD=/opt/influxd/influxd npm run test:clients
# It needs go and cargo, and takes some minutes. A part of InfluxDB is written in Rust, for an
# earlier compiler whose lints are warnings now.
set -euo pipefail
version=v2.7.12
folder=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/rustc" <<'WRAPPER'
#!/bin/sh
rustc="$1"
shift
exec "$rustc" "$@" --cap-lints warn
WRAPPER
chmod +x "$work/rustc"
GOBIN="$work" go install github.com/influxdata/pkg-config@v0.2.7
cd "$work"
printf 'module build\n\ngo 1.23\n\nrequire github.com/influxdata/influxdb/v2 %s\n' "$version" > go.mod
RUSTUP_TOOLCHAIN=$(rustup default 2> /dev/null | cut -d' ' -f1 || true)
if [ -n "$RUSTUP_TOOLCHAIN" ]; then export RUSTUP_TOOLCHAIN; else unset RUSTUP_TOOLCHAIN; fi
# The helper finds the real pkg-config behind its own folder in PATH.
PATH="$work:$PATH" PKG_CONFIG="$work/pkg-config" RUSTC_WRAPPER="$work/rustc" GOFLAGS=-mod=mod \
  go build -tags sqlite_foreign_keys,sqlite_json -o "$folder/influxd" \
  github.com/influxdata/influxdb/v2/cmd/influxd
