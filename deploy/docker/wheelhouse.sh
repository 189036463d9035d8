#!/bin/sh
# Fill build/wheelhouse/cpu (or gpu) with what an image installs: third parties by hash, and this tree's own wheel.
set -eu
variant=${1:-cpu}
cd "$(dirname "$0")/../.."
target=build/wheelhouse/$variant
mkdir -p "$target"
rm -f "$target"/retinue-*.whl
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary :all: --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --python-version 3.11 \
    --require-hashes -r "deploy/docker/requirements-$variant.txt" -d "$target"
"${PYTHON:-python3}" -m pip wheel --quiet --no-deps -w "$target" .
# By the names that they have while an image is built.
(cd "$target" && sha256sum -- *.whl | sed 's|  |  /wheelhouse/|' > SHA256SUMS)
