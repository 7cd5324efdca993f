"""Settings of the account at Cloudflare: allow policies, block senders, trusted domains and their neighbours."""
