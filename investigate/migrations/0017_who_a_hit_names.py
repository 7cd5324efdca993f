from django.db import migrations, models


class Migration(migrations.Migration):
    """Whom the message of a hit names beside its mailboxes: it may have been found by them alone."""

    dependencies = [("investigate", "0016_readings_put_off")]
    operations = [migrations.AddField("viewhit", "named", models.JSONField(db_default=[], default=list))]
