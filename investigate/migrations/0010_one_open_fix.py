from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Of two who put one message right at the same time, the database takes one."""

    dependencies = [("investigate", "0009_queue_reading")]
    operations = [
        migrations.AddConstraint(
            model_name="fix",
            constraint=models.UniqueConstraint(
                condition=Q(finished_at=None),
                fields=("account_id", "investigate_id"),
                name="one_open_fix_of_a_message",
            ),
        ),
    ]
