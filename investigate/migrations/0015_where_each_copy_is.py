from django.db import migrations, models

AT_ONCE = 1000


def tell(apps, _schema_editor):
    """What messages that are remembered already say of each of their copies."""
    copies = apps.get_model("investigate", "SeenCopy").objects
    messages = apps.get_model("investigate", "SeenMessage").objects.order_by("pk")
    last = 0
    while found := list(
        messages.filter(pk__gt=last)
        .only("recipients", "delivery_status", "is_quarantined")
        .prefetch_related("copies")[:AT_ONCE]
    ):
        last = found[-1].pk
        told = {}
        for message in found:
            names = [str(name).strip().casefold()[:500] for name in message.recipients]
            states = [str(state).casefold() for state in message.delivery_status]
            of_each = {}
            if len(names) == len(states):
                of_each = {name: {state} for name, state in zip(names, states, strict=True)}
            for copy in message.copies.all():
                place = _place(of_each.get(copy.address, set(states)), message.is_quarantined)
                told.setdefault(place, []).append(copy.pk)
        for place, keys in told.items():
            for start in range(0, len(keys), AT_ONCE):
                copies.filter(pk__in=keys[start : start + AT_ONCE]).update(told=place)


def _place(states, is_held):
    if states & {"delivered", "move_failed"}:
        return "delivered"
    if "moved" in states:
        return "moved"
    if is_held or "quarantined" in states:
        return "quarantined"
    if states and states <= {"rejected", "deferred", "bounced", "queued"}:
        return "undelivered"
    return "unknown"


class Migration(migrations.Migration):
    """Where the API says each copy is, beside what it says of the message."""

    dependencies = [("investigate", "0014_notice_rule_since")]
    operations = [
        migrations.AddField("seencopy", "told", models.CharField(blank=True, db_default="", max_length=20)),
        migrations.RunPython(tell, migrations.RunPython.noop),
    ]
