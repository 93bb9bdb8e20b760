#!/usr/bin/env bash
# Stage 2 (DPO) with an accelerate config that suits the machine: launch/dpo.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch dpo "$@"
