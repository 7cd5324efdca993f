from django.db import migrations, models


class Migration(migrations.Migration):
    """How far the account's mail was read, by the collector and by people's searches."""

    dependencies = [("investigate", "0011_the_whole_picture")]
    operations = [
        migrations.AddField("queuemark", "covered_until", models.DateTimeField(null=True)),
        migrations.AddField("queuemark", "complete_since", models.DateTimeField(null=True)),
        migrations.AddField("queuemark", "of_all_mail", models.BooleanField(default=False, db_default=False)),
    ]
