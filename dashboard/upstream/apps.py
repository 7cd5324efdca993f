from django.apps import AppConfig


class UpstreamConfig(AppConfig):
    name = "dashboard.upstream"
    label = "upstream"
    verbose_name = "The connection to Cloudflare"
