# Shared by sft.sh and dpo.sh, which source it: picks an accelerate config and starts a stage.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usage() { # stage
  cat <<EOF
launch/$1.sh [--accelerate NAME|FILE] [--dry-run] [arguments of $1/train.py]

  --accelerate NAME   $(config_names)
                      or a YAML file of your own.
                      Default: cpu without a GPU, single_gpu with one, ddp with more.
  --dry-run           print the command and stop.

Arguments of $1/train.py: --config FILE and section.key=value; all of them: python $1/train.py --help
EOF
}

config_names() {
  local file names=()
  for file in "$root"/configs/accelerate/*.yaml; do names+=("$(basename "$file" .yaml)"); done
  echo "${names[*]}"
}

# GPUs that a run would see.
count_gpus() {
  local listed
  if [[ -n "${CUDA_VISIBLE_DEVICES+set}" ]]; then
    listed="$(tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -vE '^ *(-1)? *$' || true)"
  elif command -v nvidia-smi >/dev/null; then
    listed="$(nvidia-smi -L 2>/dev/null | grep '^GPU ' || true)"
  else
    listed=""
  fi
  grep -c . <<<"$listed" || true
}

default_name() { # GPUs
  case "$1" in
    0) echo cpu ;;
    1) echo single_gpu ;;
    *) echo ddp ;;
  esac
}

# The accelerate of the active environment, else of the one that make sets up here.
find_accelerate() {
  command -v accelerate && return
  if [[ -x "$root/.venv/bin/accelerate" ]]; then
    echo "$root/.venv/bin/accelerate"
  else
    echo "accelerate isn't installed; run: pip install -e '$root[train]'" >&2
    return 1
  fi
}

launch() { # stage, arguments
  local stage="$1" name="" dry_run="" rest=() gpus config accelerate command
  shift
  while (($#)); do
    case "$1" in
      -h | --help) usage "$stage" && return ;;
      --dry-run) dry_run=1 ;;
      --accelerate)
        (($# > 1)) || { echo "--accelerate needs a name: $(config_names)" >&2 && return 2; }
        name="$2" && shift
        ;;
      --accelerate=*) name="${1#*=}" ;;
      *) rest+=("$1") ;;
    esac
    shift
  done

  gpus="$(count_gpus)"
  name="${name:-$(default_name "$gpus")}"
  config="$root/configs/accelerate/$name.yaml"
  [[ -f "$config" ]] || config="$name"
  if [[ ! -f "$config" ]]; then
    echo "--accelerate $name: no such config; there are: $(config_names), or the path of a YAML file" >&2
    return 2
  fi
  accelerate="$(find_accelerate)"

  command=("$accelerate" launch --quiet --config_file "$config")
  case "$name" in
    single_gpu) [[ -z "${CUDA_VISIBLE_DEVICES:-}" ]] || command+=(--gpu_ids "${CUDA_VISIBLE_DEVICES%%,*}") ;;
    ddp | zero2 | zero3) ((gpus == 0)) || command+=(--num_processes "$gpus") ;;
  esac
  command+=("$root/$stage/train.py" ${rest[@]+"${rest[@]}"})
  printf '+'
  printf ' %q' "${command[@]}"
  printf '\n'
  [[ -n "$dry_run" ]] || exec "${command[@]}"
}
