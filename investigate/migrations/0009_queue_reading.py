from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("investigate", "0008_desk")]

    operations = [
        migrations.AddField(
            model_name="queuemark",
            name="reading",
            field=models.JSONField(db_default={}, default=dict),
        ),
    ]
