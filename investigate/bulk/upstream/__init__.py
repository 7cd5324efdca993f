"""Bulk jobs that Cloudflare itself carries out over everything a search finds: asked for, watched, stopped."""
