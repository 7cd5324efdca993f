from django.db import migrations, models


class Migration(migrations.Migration):
    """Detections of the last days are looked through again."""

    dependencies = [("investigate", "0017_who_a_hit_names")]
    operations = [
        migrations.AddField("queuemark", "again", models.JSONField(db_default={}, default=dict)),
        migrations.AddField("queuemark", "looked_again_at", models.DateTimeField(null=True)),
    ]
