"""Why Cloudflare did not do something, in the desk's voice."""

from __future__ import annotations

from dashboard.emailsec import errors


def refusal(problem: errors.EmailSecurityError) -> str:
    """Why Cloudflare did not do it, and who can mend that."""
    told = problem.api_message.strip().rstrip(".")
    match problem:
        case errors.CredentialsRefused():
            return "Cloudflare does not accept our credentials; whoever runs Mailwarden must renew the API token."
        case errors.NotPermitted() if problem.not_subscribed:
            return "Cloudflare: the account's subscription does not include this; its owner can change that."
        case errors.NotPermitted():
            return (
                "Cloudflare: the API token may not do this; whoever runs Mailwarden must give it the permission "
                "Cloud Email Security: Write."
            )
        case errors.NotOnThisServer():
            return "Cloudflare does not offer this for the account."
    return f"Cloudflare: {told}." if told else "Cloudflare refused the request and gave no reason."
