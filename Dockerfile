# docker build -t bss .    docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" bss unmix mics -o sources
FROM python:3.12-slim

COPY . /src
RUN pip install --no-cache-dir "/src[report]" && rm -rf /src \
    && useradd --create-home --uid 1000 bss \
    && install -d -m 755 -o 1000 /var/cache/bss

# kernels are compiled once, in the image; whoever runs it may read them
ENV NUMBA_CACHE_DIR=/var/cache/bss
USER 1000
RUN bss warmup

WORKDIR /work
ENTRYPOINT ["bss"]
CMD ["--help"]
