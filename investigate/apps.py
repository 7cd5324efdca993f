from django.apps import AppConfig


class InvestigateConfig(AppConfig):
    name = "investigate"
    verbose_name = "Find, read and act on messages"
