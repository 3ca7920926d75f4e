#!/usr/bin/env bash
# A kind cluster named `tuning` with the images, the chart and a sample study.
set -euo pipefail
tag=$1
cd "$(dirname "$0")/.."
kind get clusters | grep -qx tuning || kind create cluster --name tuning
hack/images.sh "$tag"
kind load docker-image --name tuning "tuning-operator:$tag" "tuning-worker:$tag" "tuning-postgresql:$tag"
helm upgrade --install tuning charts/tuning-operator -n tuning --create-namespace --wait
kubectl apply -f manifests/samples/digits.yaml
kubectl get tstudy digits
