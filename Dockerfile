# The server in a container: the wheel (with the web app) is built in a first stage and installed in the second.
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels kiseki \
    && useradd --system --create-home kiseki \
    && install -d -o kiseki -g kiseki /data
USER kiseki
VOLUME /data
EXPOSE 7117
STOPSIGNAL SIGTERM
# Names besides localhost that people type into the browser: append --allowed-host NAME.
ENTRYPOINT ["kiseki", "up", "/data", "--host", "0.0.0.0", "--no-local-runs"]
