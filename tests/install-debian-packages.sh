#!/usr/bin/env bash
# Installs what tests/debian-packages.txt lists, where that is allowed: as root, or with sudo that asks for no password.
# Where it isn't, it says what is missing and goes on: the tests that need it skip.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
while read -r package; do
  [[ -z "$package" || "$package" == \#* ]] && continue
  [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
done <debian-packages.txt
((${#missing[@]})) || exit 0

give_up() {
  echo "WARNING: $1, so these aren't installed: ${missing[*]}. Tests that need them will be SKIPPED." >&2
  echo "WARNING: to run them, too: sudo apt-get install ${missing[*]}" >&2
  exit 0
}

command -v apt-get >/dev/null || give_up "there is no apt-get here"
as_root=()
if ((EUID != 0)); then
  sudo -n true 2>/dev/null || give_up "this needs root"
  as_root=(sudo -n)
fi
echo "installing for the tests: ${missing[*]}"
apt=("${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
"${apt[@]}" update || give_up "apt-get update failed"
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null || give_up "apt-get install failed"
