#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# uploads.sh TEST PROGRAM MAKE_VIDEO COPIES: makes videos of several kinds and gives them, whole and damaged, to a server.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$3" "$folder/a.mp4" mpeg4 yuv420p 16x16 12 25 bframes=2 gop=5
"$3" "$folder/b.mkv" ffv1 bgr0 16x16 9 25
"$3" "$folder/c.avi" mpeg4 yuv420p 16x16 9 25
"$3" "$folder/d.gif" gif gray 16x16 9 25
"$3" "$folder/e.png" png rgb24 16x16 1 25
"$1" "$2" "$4" "$folder"/[a-e].*
