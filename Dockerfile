# One image for all processes; docker-compose.yml and the Procfile say which runs.

FROM python:3.13-slim AS build
WORKDIR /src
# pip stays in this stage: the environment that is shipped has none.
RUN python -m venv --without-pip /opt/postroom
COPY requirements.lock ./
RUN pip --python /opt/postroom/bin/python install --no-cache-dir --no-compile \
    --require-hashes -r requirements.lock
COPY . .
RUN pip --python /opt/postroom/bin/python install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin postroom
COPY --from=build /opt/postroom /opt/postroom
ENV PATH=/opt/postroom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=8000
# Not a folder with the code: the installed package is what runs.
WORKDIR /tmp
USER postroom
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/ready', timeout=4)"]
CMD ["gunicorn", "-c", "python:postroom.http.server", "postroom.http.wsgi:create()"]
