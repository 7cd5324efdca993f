from django.db import migrations, models
from django.db.models import F


def all_seen(apps, _schema_editor):
    """Nobody is told of jobs that ended before there was anything to tell it."""
    apps.get_model("investigate", "UpstreamJob").objects.update(seen_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("investigate", "0002_bulk_jobs"),
    ]

    operations = [
        migrations.AddField(
            model_name="upstreamjob",
            name="seen_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(all_seen, migrations.RunPython.noop),
    ]
