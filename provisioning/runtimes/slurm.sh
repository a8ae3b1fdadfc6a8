#!/usr/bin/env bash
#SBATCH --job-name=fedvox-site
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --gres=gpu:1
#SBATCH --time=3-00:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
# A site as one Slurm job; FLARE's jobs run as processes inside the allocation.
#   sbatch --export=ALL,FEDVOX_KIT=/kits/site-1,FEDVOX_DATA=/data,FEDVOX_WORK=/scratch/fedvox \
#     provisioning/runtimes/slurm.sh
# Image: apptainer build fedvox.sif docker-daemon://fedvox:0.1.0
set -euo pipefail
: "${FEDVOX_KIT:?folder of the kit}" "${FEDVOX_DATA:?folder of the images}"
: "${FEDVOX_WORK:?folder that may be written}"
mkdir -p "$FEDVOX_WORK/workspace" "$FEDVOX_WORK/cache"
exec apptainer exec --nv --containall --no-home \
  --bind "$FEDVOX_KIT:/kit:ro" --bind "$FEDVOX_DATA:/data:ro" \
  --bind "$FEDVOX_WORK/workspace:/workspace" --bind "$FEDVOX_WORK/cache:/cache" \
  --env NVFL_WORKSPACE=/workspace \
  "${FEDVOX_IMAGE:-fedvox.sif}" bash /kit/startup/sub_start.sh --once
