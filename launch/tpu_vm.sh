#!/usr/bin/env bash
# One job on a Cloud TPU VM, of one host or many, by gcloud.
#
#   TPU_NAME=mine TPU_ZONE=us-west4-a TPU_TYPE=v5litepod-16 launch/tpu_vm.sh create
#   … launch/tpu_vm.sh setup
#   … launch/tpu_vm.sh run experiment=bandit run_dir=/mnt/shared/bandit
#   … launch/tpu_vm.sh delete
#
# TPU_VERSION is the software of the VM (default: v2-alpha-tpuv5-lite, for v5e). The project is gcloud's own.
set -euo pipefail

usage() {
  sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

[[ $# -ge 1 ]] || usage
: "${TPU_NAME:?name the TPU VM: TPU_NAME}"
: "${TPU_ZONE:?name its zone: TPU_ZONE}"

tpu() {
  gcloud compute tpus tpu-vm "$@" --zone="$TPU_ZONE"
}

on_all_workers() {
  tpu ssh "$TPU_NAME" --worker=all --command="$1"
}

command=$1
shift
case $command in
  create)
    : "${TPU_TYPE:?name its type, such as v5litepod-16: TPU_TYPE}"
    tpu create "$TPU_NAME" --accelerator-type="$TPU_TYPE" --version="${TPU_VERSION:-v2-alpha-tpuv5-lite}"
    ;;
  setup)
    root=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
    archive=$(mktemp --suffix=.tar.gz)
    trap 'rm -f "$archive"' EXIT
    git -C "$root" archive --format=tar.gz --output="$archive" HEAD
    tpu scp "$archive" "$TPU_NAME":podmeta.tar.gz --worker=all
    on_all_workers "rm -rf podmeta && mkdir podmeta && tar -xzf podmeta.tar.gz -C podmeta &&
      python3 -m venv podmeta/.venv &&
      podmeta/.venv/bin/pip install --quiet --constraint podmeta/constraints.txt './podmeta[tpu]'"
    ;;
  run)
    [[ $# -ge 1 ]] || usage
    printf -v quoted '%q ' "$@"
    on_all_workers "podmeta/.venv/bin/podmeta train $quoted distributed.enabled=on"
    ;;
  delete)
    tpu delete "$TPU_NAME" --quiet
    ;;
  *)
    usage
    ;;
esac
