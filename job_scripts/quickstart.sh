#!/usr/bin/env bash
# From a fresh machine to pictures: installs what is missing, builds, makes a real dataset (Fashion-MNIST), trains a
# small U-Net on it, draws samples and writes the report. Run it again at any time: finished parts are passed over.
set -euo pipefail

usage="usage: job_scripts/quickstart.sh [--no-bootstrap] [train options, e.g. --max_train_steps 2000]"
bootstrap=yes
case ${1:-} in
  --no-bootstrap) bootstrap=no; shift ;;
  -h | --help) echo "$usage"; exit 0 ;;
esac
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
bin=build/release/bin
out=quickstart

part() { echo; echo "== $* [${SECONDS} s]"; }

part "1/5 packages"
if [ "$bootstrap" = yes ]; then job_scripts/bootstrap.sh; else echo "left out (--no-bootstrap)"; fi

part "2/5 build ($bin)"
mkdir -p build/release "$out"
options=()
if command -v ccache > /dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
if [ "$bootstrap" = no ]; then options+=(-DLDMPI_TESTS=OFF); fi
if ! cmake --preset cpu-release "${options[@]}" > build/release/configure.log 2>&1; then
  tail -n 20 build/release/configure.log >&2
  echo "quickstart: the configuration failed; all of it is in build/release/configure.log" >&2
  exit 70
fi
grep -E '^-- [+|]' build/release/configure.log
cmake --build build/release --target ldmpi_program ldmpi-data

part "3/5 data ($out/data): 60,000 pictures of 10 kinds of clothes"
if [ -e "$out/data/manifest.json" ]; then
  echo "there already"
else
  "$bin/ldmpi-data" pack --recipe fashion-mnist --out "$out/data" --unshuffle 2 --context 8x64
fi

ranks=1
if [ "$(nproc)" -ge 2 ]; then ranks=2; fi
part "4/5 training ($out/run) on $ranks rank(s)"
"$bin/ldmpi" train --config job_scripts/quickstart.cfg --num_gpus "$ranks" "$@"

samples=$out/run/samples
part "5/5 pictures ($samples) and report"
if [ "$samples/final/grid.png" -nt "$out/run/final/model_index.json" ]; then
  echo "there already"
else
  prompts=()
  for thing in "a t-shirt" "trousers" "a pullover" "a dress" "a coat" "a sandal" "a shirt" "a sneaker" "a bag" \
    "an ankle boot"; do
    prompts+=(--prompt "a photo of $thing")
  done
  "$bin/ldmpi" sample --model.path "$out/run" "${prompts[@]}" --images_per_prompt 10 --batch_size 20 --steps 20 \
    --guidance 5 --out "$samples/final"
  cp "$samples/final/grid.png" "$samples/final.png"
fi
"$bin/ldmpi" report "$out/run"

cat << END

Done in $SECONDS s. Look at
  $samples/final.png          100 pictures, a row per kind
  $out/run/report.html              curves, pictures, configuration
  $out/run/final                    the trained model, a folder that diffusers reads
Next, a picture of your own:
  $bin/ldmpi sample --model.path $out/run --prompt "a photo of a coat" --images_per_prompt 8 --guidance 5 --out coats
or longer training, which goes on from here:
  job_scripts/quickstart.sh --max_train_steps 2000
END
