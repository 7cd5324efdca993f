from django.db import migrations, models


class Migration(migrations.Migration):
    """From when on a notice tells of mail."""

    dependencies = [("investigate", "0013_views_outlive_their_makers")]
    operations = [migrations.AddField("noticerule", "since", models.DateTimeField(null=True))]
