# What every process of Ray on a node starts with; `source ~/foresight/environment.sh` after `ray attach`, too.
source "$HOME/foresight/.venv/bin/activate"
export RAY_AUTH_MODE=token  # the token is ~/.ray/auth_token
export RAY_USAGE_STATS_ENABLED=0
export RAY_JOB_STOP_WAIT_TIME_S=30  # that `ray job stop` leaves a study to end by itself
# Folders that every node sees.
export FORESIGHT_CACHE=/shared/cache
export HF_HOME=/shared/huggingface
export TORCH_HOME=/shared/torch
ulimit -n 65536
