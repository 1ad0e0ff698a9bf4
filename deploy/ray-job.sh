#!/bin/bash
# Submit an nbest run to a running Ray cluster, once: the same command again follows the job that
# runs, and starts one that has ended anew, which goes on where it stopped.
#
#   export RAY_API_SERVER_ADDRESS=http://HEAD:8265 RAY_AUTH_MODE=token
#   deploy/ray-job.sh NAME run CONFIG.yaml --out /shared/runs/NAME --set cluster.engines=16
#
# It ends with 0 or 1, as `ray job submit` does; what nbest itself ended with is in the job's message.
# CONFIG.yaml and the run folder are paths on the cluster, and nbest is installed on all of it.

set -u
if [ $# -lt 2 ]; then
    echo "usage: ray-job.sh NAME run CONFIG.yaml --out RUN_FOLDER [options of nbest run...]" >&2
    exit 2
fi
id=nbest-$1
shift

case $(ray job status "$id" 2>/dev/null) in
    *"Status for job '$id': "*) # pending or running
        exec ray job logs --follow "$id"
        ;;
    *"Job '$id' "*) # it succeeded, failed or was stopped
        ray job delete "$id" || exit
        ;;
esac
exec ray job submit --submission-id "$id" -- nbest "$@" --set cluster.address=auto
