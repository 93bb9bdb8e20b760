#!/usr/bin/env bash
# The whole pipeline on the embedded model, as a user would type it: SFT, sampling, checks, pairs, DPO, evaluation, report.
# Run again it reuses what is whole and resumes what isn't. SMALL=1 takes the same path in minutes and proves no more.
set -euo pipefail
cd "$(dirname "$0")/.."

out=runs/demo sft=() dpo=(optim.eval_steps=100) generate=(--samples 2) greedy=() pair=()
grid=(--search 6 --candidates seeds) seed=(optim.epochs=0.6) judge=(--costly-lines 100)
if [[ -n "${SMALL:-}" ]]; then
  out=runs/demo-small
  sft=(data.limit=64 optim.epochs=1 optim.compile=false gate.prompts=6)
  generate=(--limit 24 --samples 2)
  greedy=(--limit 24)
  # What so short a training yields says next to nothing clean: corpus lines stand in for its own, and corruptions for its mistakes.
  corrupt=(--limit 24) pair=(--chosen corpus)
  dpo=(optim.eval_steps=2 optim.compile=false gate.prompts=6)
  grid=(--search 2 --search-prompts 6 --prompts 12 --references 24)
  seed=(data.limit=64 optim.epochs=1 optim.compile=false)
  judge=(--costly-lines 6)
  echo "SMALL=1: this proves that the path works on this machine. Its figures mean nothing."
fi
mkdir -p "$out/pref"
step() { local name=$1; shift; python launch/step.py "$out/steps.jsonl" "$name" -- "$@"; }

python -m npc_align.modeling.device
corpus="$out/corpus.jsonl"
step augment  npc-data augment npc_align/data/weapon_rental/corpus.jsonl --output "$corpus"
step sft      launch/sft.sh output_dir="$out/sft" data.corpus="$corpus" "${sft[@]}"
store="$out/pref/prefs.db"
[[ -e "$store" ]] || npc-pref init --store "$store"
step generate npc-pref generate --store "$store" --corpus "$corpus" --model "$out/sft" "${generate[@]}"
# What default decoding says, too: it falls into endless loops, of which samples at temperature 1 show next to none.
step greedy   npc-pref generate --store "$store" --corpus "$corpus" --model "$out/sft" --temperature 0 --samples 1 "${greedy[@]}"
if [[ -n "${SMALL:-}" ]]; then
  step corrupt npc-pref corrupt --store "$store" "${corrupt[@]}"
else
  step check npc-pref check --store "$store"
  # More draws where it got the facts wrong: there it errs again, and a wrong result is to be set against the right one, not silence.
  step again npc-pref generate --store "$store" --corpus "$corpus" --model "$out/sft" --samples 8 --seed 1 \
                --mistaken result_contradiction,hallucinated_item,interval_contradiction,visit_contradiction
fi
step check    npc-pref check --store "$store"
# Two kinds stay out: a judge of the report that no pair has seen.
step pair     npc-pref pair --store "$store" --hold-out foreign_text,prompt_leak "${pair[@]}"
step export   npc-pref export --store "$store" --output "$out/pref/preferences.jsonl"
step dpo      launch/dpo.sh output_dir="$out/dpo" \
                model.adapter="$out/sft" data.pairs="$out/pref/preferences.jsonl" "${dpo[@]}"
step grid     npc-eval grid --output "$out/eval" --model base=embedded --model sft="$out/sft" --model dpo="$out/dpo" \
                --decodings servers,search "${grid[@]}"
# A judge only, so a short run: which 성격 and 최근_의뢰 does a model of another seed find that a line was said for?
step seed     launch/sft.sh output_dir="$out/sft-seed43" seed=43 gate.prompts=0 "${seed[@]}"
step judge    npc-eval judge "$out/eval" --seed-model "$out/sft-seed43" "${judge[@]}"
step report   npc-eval report "$out/eval"

echo
echo "The report: $out/eval/report.html"
echo "Try it: npc-chat --model $out/dpo   (in the environment: source .venv/bin/activate)"
if [[ -n "${SMALL:-}" ]]; then
  echo "SMALL=1 proved the path and no more; make demo gives the figures."
fi
