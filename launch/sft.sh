#!/usr/bin/env bash
# Stage 1 (SFT) with an accelerate config that suits the machine: launch/sft.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch sft "$@"
