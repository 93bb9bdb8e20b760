#!/usr/bin/env bash
# The whole pipeline on the embedded model, as a user would type it: SFT, sampling, checks, pairs, DPO, evaluation.
# Run again it reuses what is whole and resumes what isn't. SMALL=1 takes the same path in minutes and proves no more.
set -euo pipefail
cd "$(dirname "$0")/.."

out=runs/demo sft=() dpo=() generate=(--samples 2 --limit 640) corrupt=(--limit 640) evaluate=()
if [[ -n "${SMALL:-}" ]]; then
  out=runs/demo-small
  sft=(data.limit=64 optim.epochs=1 optim.compile=false gate.prompts=6)
  generate=(--limit 24 --samples 2)
  corrupt=(--limit 24)
  dpo=(optim.eval_steps=2 optim.compile=false gate.prompts=6)
  evaluate=(--prompts 12 --references 24)
  echo "SMALL=1: this proves that the path works on this machine. Its figures mean nothing."
fi
mkdir -p "$out/pref"
step() { local name=$1; shift; python launch/step.py "$out/steps.jsonl" "$name" -- "$@"; }

python -m npc_align.modeling.device
step sft      launch/sft.sh output_dir="$out/sft" "${sft[@]}"
store="$out/pref/prefs.db"
[[ -e "$store" ]] || npc-pref init --store "$store"
step generate npc-pref generate --store "$store" --model "$out/sft" "${generate[@]}"
step corrupt  npc-pref corrupt --store "$store" "${corrupt[@]}"
step check    npc-pref check --store "$store"
step pair     npc-pref pair --store "$store"
step export   npc-pref export --store "$store" --output "$out/pref/preferences.jsonl"
step dpo      launch/dpo.sh output_dir="$out/dpo" \
                model.adapter="$out/sft" data.pairs="$out/pref/preferences.jsonl" "${dpo[@]}"
step evaluate npc-eval run --output "$out/eval" --model base=embedded --model sft="$out/sft" --model dpo="$out/dpo" "${evaluate[@]}"

echo
echo "Try it: npc-chat --model $out/dpo   (in the environment: source .venv/bin/activate)"
if [[ -n "${SMALL:-}" ]]; then
  echo "SMALL=1 proved the path and no more; make demo gives the figures."
fi
