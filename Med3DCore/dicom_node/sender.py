"""Results go out: by C-STORE to each peer that wants them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.dicom_node.settings import NodeSettings, Peer, Tls
from Med3DCore.errors import Med3DError

if TYPE_CHECKING:
    from pynetdicom.association import Association

_SECONDS = 30.0


class NotSent(Med3DError):
    """A peer has not taken a result."""

    code = "not-sent"


def send(settings: NodeSettings, peer: Peer, file: Path) -> None:
    """Send a file and wait until the peer has taken it.

    Raises:
        NotSent: It does not answer, or refuses; the sentence says which.
    """
    import pydicom
    from pynetdicom import AE

    made = pydicom.dcmread(file)
    entity = AE(ae_title=settings.ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _SECONDS
    entity.add_requested_context(made.SOPClassUID, made.file_meta.TransferSyntaxUID)
    encryption = context(settings.tls, ssl.Purpose.SERVER_AUTH) if peer.tls else None
    association: Association = entity.associate(
        peer.host, peer.port, ae_title=peer.ae_title, tls_args=None if encryption is None else (encryption, peer.host)
    )
    if not association.is_established:
        raise NotSent(f"{peer.ae_title} at {peer.host}:{peer.port} does not accept associations; is it running?")
    try:
        if not association.accepted_contexts:
            raise NotSent(f"{peer.ae_title} does not take objects of the kind {made.SOPClassUID.name}.")
        status = association.send_c_store(made).get("Status")
    finally:
        association.release()
    if status is None:
        raise NotSent(f"{peer.ae_title} broke the association off.")
    if status != 0 and status >> 8 != 0xB0:  # B0xx: stored, with a remark
        raise NotSent(f"{peer.ae_title} refused {made.SOPClassUID.name} with status {status:04X}.")


def context(tls: Tls | None, purpose: ssl.Purpose) -> ssl.SSLContext | None:
    """Encryption in which both sides show a certificate; None without."""
    if tls is None:
        return None
    made = ssl.create_default_context(purpose, cafile=tls.authority)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(tls.certificate, tls.key)
    return made
