from django.db import migrations, models


class Migration(migrations.Migration):
    """What is read once the newest mail was read."""

    dependencies = [("investigate", "0015_where_each_copy_is")]
    operations = [migrations.AddField("queuemark", "older", models.JSONField(db_default=[], default=list))]
