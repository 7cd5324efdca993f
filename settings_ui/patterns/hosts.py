"""Names that stand for many strangers. Own tables: chosen by hand, by what is large and well known; never complete.

They decide on warnings alone. A name that is missing costs a warning, a name too many costs a second click.
"""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PROVIDERS = _names(
    """
    126.com 139.com 163.com 189.cn aim.com aliyun.com aol.com arcor.de att.net bigpond.com bk.ru bluewin.ch
    btinternet.com centrum.cz charter.net comcast.net cox.net duck.com earthlink.net email.cz fastmail.com
    fastmail.fm foxmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hey.com
    hotmail.co.uk hotmail.com hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com inbox.lv inbox.ru
    interia.pl laposte.net libero.it list.ru live.co.uk live.com live.fr live.nl mac.com mail.com mail.de mail.ru
    mailbox.org me.com msn.com naver.com o2.pl onet.pl online.de optonline.net orange.fr outlook.com outlook.de
    outlook.fr pm.me posteo.de proton.me protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com
    rocketmail.com sapo.pt sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com t-online.de talktalk.net
    tiscali.it tuta.com tutanota.com ukr.net uol.com.br verizon.net virgilio.it virginmedia.com wanadoo.fr web.de
    wp.pl xs4all.nl yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr
    yahoo.it yandex.com yandex.ru yeah.net ymail.com zohomail.com
    """
)
"""Domains at which anybody gets a mailbox: the large free providers and the mail of large internet providers."""

MAILERS = _names(
    """
    activecampaign.com amazonses.com aweber.com bmsend.com bounces.google.com braze.com brevo.com cmail19.com
    cmail20.com constantcontact.com createsend.com customeriomail.com emarsys.net exacttarget.com freshemail.com
    getresponse.com hubspotemail.net infusionmail.com intercom-mail.com klaviyomail.com list-manage.com
    mailchimpapp.net mailerlite.com mailersend.net mailgun.net mailgun.org mailjet.com mandrillapp.com mcdlv.net
    mcsv.net messagebus.com mjt.lu mktomail.com mlsend.com mtasv.net pardot.com postmarkapp.com responsys.net
    rsgsv.net salesforce.com sendgrid.net sendinblue.com sendpulse.com smtp.com smtp2go.com socketlabs.com
    sparkpostmail.com zendesk.com
    """
)
"""Domains in the envelope of mail that mailing services send for whoever pays, or tries for free."""

SHARED_HOSTS = _names(
    """
    1drv.ms bit.ly blogspot.com box.com calendly.com canva.com cloudfront.net docs.google.com docusign.net
    drive.google.com dropbox.com evernote.com firebaseapp.com forms.gle forms.office.com gitbook.io github.com
    github.io goo.gl googleapis.com herokuapp.com jotform.com linktr.ee mediafire.com medium.com mega.nz netlify.app
    notion.site notion.so onedrive.live.com pages.dev r2.dev s3.amazonaws.com sharefile.com sharepoint.com
    sites.google.com storage.googleapis.com surveymonkey.com t.co tinyurl.com typeform.com vercel.app web.app
    web.core.windows.net webflow.io weebly.com wetransfer.com wixsite.com wordpress.com workers.dev
    """
)
"""Hosts at which strangers put up pages and files, and shorteners of links."""


def is_below(domain: str, names: frozenset[str]) -> str:
    """Which of the names the domain is or lies below; "" for none."""
    labels = domain.split(".")
    return next((name for name in (".".join(labels[at:]) for at in range(len(labels))) if name in names), "")


def is_public_suffix(domain: str) -> bool:
    """Whether a registry sells names below it: co.uk. A name the list does not know is taken for an ordinary one."""
    return bool(_registries().is_public(domain)) if domain.isascii() else False


def is_private_suffix(domain: str) -> bool:
    """Whether a company gives away names below it: github.io."""
    return domain.isascii() and not is_public_suffix(domain) and bool(_everybody().is_public(domain))


@cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True, accept_unknown=False)


@cache
def _everybody() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
