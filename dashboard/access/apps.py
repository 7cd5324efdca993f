from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "dashboard.access"
    label = "access"
    verbose_name = "Members and permissions"

    def ready(self) -> None:
        from dashboard.access import signals  # noqa: F401  connects what happens at every sign-in
