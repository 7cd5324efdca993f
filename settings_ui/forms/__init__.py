"""The forms of the settings rooms, made from the resources' descriptions: building, opening, merging, dangers."""
