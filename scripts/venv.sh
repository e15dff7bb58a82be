# Sourced by ./dev and ./quickstart: makes a virtual environment on whatever Python this machine has.
# Debian's own python3 has no ensurepip and refuses `pip install` outside a virtual environment (PEP 668).

say() { printf '%s\n' "$*" >&2; }
die() { say "kiseki: $*"; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# apt_install PACKAGE...: quiet; needs root and apt-get, else returns 1.
apt_install() {
  is_root && command -v apt-get >/dev/null || return 1
  say "installing $* (apt-get)"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return 0
  apt-get update -qq >/dev/null 2>&1
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# find_python: prints a Python of version 3.10 or newer, or nothing.
find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
}

# make_venv FOLDER: with python3's venv module, else uv, else virtualenv, else by installing python3-venv; else says how.
make_venv() {
  local folder=$1 python
  [ -x "$folder/bin/python" ] && "$folder/bin/python" -c 'import pip' 2>/dev/null && return
  python=$(find_python)
  if [ -z "$python" ] && apt_install python3 python3-venv; then python=$(find_python); fi
  if [ -n "$python" ]; then
    if ! "$python" -c 'import ensurepip' 2>/dev/null && ! command -v uv >/dev/null && ! command -v virtualenv >/dev/null; then
      apt_install python3-venv || true
    fi
    if "$python" -c 'import ensurepip' 2>/dev/null; then
      "$python" -m venv "$folder" && return
    fi
  fi
  if command -v uv >/dev/null; then uv venv --quiet --seed --python '>=3.10' "$folder" && return; fi
  if command -v virtualenv >/dev/null; then virtualenv --quiet ${python:+--python "$python"} "$folder" && return; fi
  if command -v pipx >/dev/null; then pipx run virtualenv --quiet ${python:+--python "$python"} "$folder" && return; fi
  die "needs Python 3.10 or newer with its venv module. Install it with:  sudo apt-get install -y python3-venv"
}
