#!/usr/bin/env bash
# Installs the libraries that the benchmarks compare with, into the environment of a
# Python 3.11 that has minenet already:
#
#     bash benchmarks/install_peers.sh .venv/bin/python
#
# Torch comes first and decides; what builds on it comes without its dependencies, which
# would bring another torch, after the few that importing it needs.
set -euo pipefail
python="${1:-python}"
install() { "$python" -m pip install --quiet "$@"; }

install "scikit-learn>=1.5" "torch==2.13.0"
install huggingface-hub safetensors pillow pyyaml requests matplotlib tqdm
install --no-deps "torchvision==0.28.*" "timm>=1.0.3" \
  "segmentation-models-pytorch==0.6.*" "monai>=1.5" "torchgeo==0.8.*" einops \
  "torchmetrics>=1.8" "lightning-utilities>=0.14"

"$python" "$(dirname "$0")/peers.py"
