# One image for the web server, the Celery worker and the schedule; compose.yaml runs all three.
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements/production.txt /requirements.txt
RUN /venv/bin/pip install --require-hashes --requirement /requirements.txt

FROM python:3.12-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings.production \
    GUIDON_VAR_DIR=/app/var \
    STATIC_ROOT=/app/staticfiles
RUN useradd --system --create-home --uid 10001 guidon
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py ./
COPY config config
COPY users users
COPY featureflags featureflags
COPY templates templates
# Compiled once here: each process would compile all of it again when it starts.
RUN python -m compileall -q config users featureflags
# The files' names get their hashes here. No server is asked, and no secret stays in the image.
RUN DJANGO_SETTINGS_MODULE=config.settings.static python manage.py collectstatic --noinput \
    && install --directory --owner=guidon --group=guidon /app/var
USER guidon
EXPOSE 8000
# Flags are answered while PostgreSQL or Redis is down: a worker that is slow to reach a server is no
# reason to end it. No --preload: a reload would go on with the old code.
CMD ["gunicorn", "--config=config/gunicorn.py", "config.wsgi:application"]
