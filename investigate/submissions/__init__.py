"""What users and the team asked Cloudflare to look at again, and what it answered."""
