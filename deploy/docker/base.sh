#!/bin/sh
# Make a stand-in for python:3.11-slim-bookworm out of Debian's own packages, where no image can be pulled.
# It has Debian's Python 3.11 as python3, and nothing called python or pip. Needs mmdebstrap, buildah and root.
set -eu
image=${1:-localhost/python:3.11-slim-bookworm}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-venv,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$folder/base.tar"
container=$(buildah from scratch)
buildah add --quiet "$container" "$folder/base.tar" /
buildah commit --quiet --rm "$container" "$image"
