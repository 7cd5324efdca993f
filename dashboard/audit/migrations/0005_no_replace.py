from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from dashboard.audit import guards


def renew(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    guards.remove(schema_editor.connection)
    guards.install(schema_editor.connection)


class Migration(migrations.Migration):
    """The database also refuses REPLACE, which on SQLite asks no trigger of DELETE, and a second head."""

    dependencies = [("audit", "0004_only_at_the_end")]
    operations = [migrations.RunPython(renew, migrations.RunPython.noop)]
