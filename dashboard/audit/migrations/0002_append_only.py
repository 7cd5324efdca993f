from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from dashboard.audit import guards


def install(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("audit", "ChainHead").objects.get_or_create(pk=1)
    guards.install(schema_editor.connection)


def remove(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:  # noqa: ARG001
    guards.remove(schema_editor.connection)


class Migration(migrations.Migration):
    """The database itself refuses to change the trail."""

    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
