"""Calls to addresses that somebody typed: checked in words, pinned when connecting, bounded in time, never led on."""
