#!/usr/bin/env bash
# torch 2.13.0 (oneDNN 3.12.0) on a CPU with AVX-512 bfloat16 and without AMX, seen on an AMD EPYC: the bfloat16 gradient of a
# 3x3x3 convolution's weights, padding 1, is made of memory that nobody wrote where the input has two slices: with freed
# memory full of 1e30 before it, values of 1e30 and more. With one, three or four slices, or in float32, it is right. The
# deepest maps of a 3D U-Net have two slices soon (64 voxels at stride 32), and gradients that are clipped hide it.
# Ends with 1 if that changes; on other CPUs it says so and ends with 0.
set -euo pipefail
if ! grep -qw avx512_bf16 /proc/cpuinfo || grep -qw amx_bf16 /proc/cpuinfo; then
  echo "this CPU has no AVX-512 bfloat16, or it has AMX: nothing to see"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/show.py" <<'PY'
import sys

import torch

torch.manual_seed(0)


def gradient(x, weight, dtype):
    weight = weight.detach().to(dtype).clone().requires_grad_()
    y = torch.nn.functional.conv3d(x.to(dtype), weight, padding=1)
    freed = [torch.full((size,), 1e30) for size in (2**12, 2**14, 2**16, 2**18)]
    del freed
    y.backward(torch.ones_like(y))
    return weight.grad.float()


wrong = []
for slices in (1, 2, 3, 4):
    x, weight = torch.randn(2, 16, slices, 4, 4), torch.randn(16, 16, 3, 3, 3) / 10
    right, worst = gradient(x, weight, torch.float32), 0.0
    for _ in range(5):
        error = (gradient(x, weight, torch.bfloat16) - right).abs().max() / right.abs().max()
        worst = max(worst, error.nan_to_num(float("inf")).item())
    print(f"torch {torch.__version__}, {slices} slices: largest relative error of the gradient {worst:.2g}")
    wrong.append(worst > 1)
sys.exit(wrong != [False, True, False, False])
PY
"$folder/venv/bin/python" "$folder/show.py"
