#!/usr/bin/env bash
# Runs the published set-up instructions (setup.sh) against a running server, command by command, and
# reports the exit code of each.
#
#   run.sh FERROHUB [--patched | --unpatched]
#
# FERROHUB is the program. The server and the sign-in are found by FERROHUB_DATA_DIR and
# FERROHUB_CONFIG_DIR. --patched (the default) applies corrections.patch first. --unpatched runs the
# script as it was published; a command that fails for a known reason is then repeated with its
# correction, so that the commands after it are judged on their own.
#
# Names can be overridden: SEED_GROUP, SEED_LOCATION, SEED_NAMESPACE, SEED_HUB, SEED_DPS,
# SEED_IDENTITY, SEED_ROLE, SEED_ENROLLMENT.
#
# Report lines on stdout: `== exit CODE line N KIND: first line of the command`, KIND is `command` or
# `repair`. Exits 0 where every command of kind `command` succeeded, else 1.
# No `set -u`: the script as published uses a variable that it never sets.

FERROHUB=${1:?usage: run.sh FERROHUB [--patched | --unpatched]}
MODE=${2:---patched}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FAILED=0

az() { "$FERROHUB" az "$@" </dev/null; }

# report CODE LINE KIND TEXT
report() { printf '== exit %s line %s %s: %s\n' "$1" "$2" "$3" "${4%%$'\n'*}"; }

# step LINE KIND TEXT: runs a command of the script in this shell, so that its variables stay.
step() {
  local code
  eval "$3"
  code=$?
  report "$code" "$1" "$2" "$3"
  return "$code"
}

# repair LINE TEXT: the correction of a command that failed as published.
repair() {
  case $2 in
    *'role definition create'*)
      # The role's scope stands inside single quotes: close and reopen them around each variable.
      step "$1" repair "${2//'"/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP"'/'"/subscriptions/'\''$SUBSCRIPTION_ID'\''/resourceGroups/'\''$RESOURCE_GROUP'\''"'}"
      ;;
    *'$IOT_HUB_NAME'*)
      IOT_HUB_NAME=$HUB_NAME
      step "$1" repair "$2"
      ;;
    *'policy show --name "policy-name"'*)
      step "$1" repair "${2/policy-name/default}"
      ;;
    *) return 0 ;;
  esac
}

# The steps that the instructions give in running text, before the first block.
for command in 'az upgrade' 'az login' 'az account list' 'az account show'; do
  step 0 command "$command" || FAILED=1
done

cp "$HERE/setup.sh" "$WORK/setup.sh"
case $MODE in
  --patched) patch --silent --directory "$WORK" --strip 1 <"$HERE/corrections.patch" || exit 2 ;;
  --unpatched) ;;
  *) echo "run.sh: $MODE is neither --patched nor --unpatched" >&2; exit 2 ;;
esac

# The instructions say to replace the placeholders by one's own values.
SUBSCRIPTION=$(az account show --query id --output tsv)
sed -i \
  -e "s|<your subscription name or id>|$SUBSCRIPTION|" \
  -e "s|your-subscription-id|$SUBSCRIPTION|" \
  -e "s|your-resource-group|${SEED_GROUP:-seed-group}|" \
  -e "s|your-adr/dps-location|${SEED_LOCATION:-westus2}|" \
  -e "s|your-hub-location|${SEED_LOCATION:-westus2}|" \
  -e "s|your-adr-namespace-name|${SEED_NAMESPACE:-seed-namespace}|" \
  -e "s|your-hub-name|${SEED_HUB:-seedhub}|" \
  -e "s|your-dps-name|${SEED_DPS:-seed-dps}|" \
  -e "s|your-user-identity-name|${SEED_IDENTITY:-seed-identity}|" \
  -e "s|your-custom-role-name|${SEED_ROLE:-seed-role}|" \
  -e "s|your-enrollment-name|${SEED_ENROLLMENT:-seed-enrollment}|" \
  "$WORK/setup.sh"

number=0
start=1
text=
while IFS= read -r -u 3 line || [[ -n $line ]]; do
  number=$((number + 1))
  text+=${text:+$'\n'}$line
  # A command goes on until its quotes are closed.
  bash -n <<<"$text" 2>/dev/null || continue
  if [[ -n ${text//[[:space:]]/} ]]; then
    if ! step "$start" command "$text"; then
      FAILED=1
      [[ $MODE == --unpatched ]] && repair "$start" "$text"
    fi
  fi
  text=
  start=$((number + 1))
done 3<"$WORK/setup.sh"

exit "$FAILED"
