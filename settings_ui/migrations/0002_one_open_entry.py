from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Of two who make a rule for one address at the same time, the database takes one."""

    dependencies = [("settings_ui", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddConstraint(
            model_name="entry",
            constraint=models.UniqueConstraint(
                condition=Q(state__in=["waiting", "sending", "active", "unknown", "removing"]),
                fields=("account_id", "resource", "pattern"),
                name="one_open_entry_for_a_pattern",
            ),
        ),
    ]
