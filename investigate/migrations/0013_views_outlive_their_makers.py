import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """A shared view stays when its maker's account is deleted; only the rule of the code changes."""

    dependencies = [("investigate", "0012_how_far_mail_was_read")]
    operations = [
        migrations.AlterField(
            "savedview",
            "owner",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
