import { X509Certificate } from 'node:crypto'

/** Who a client certificate says its bearer is. Whether it may be believed, TLS has verified before. */
export interface CertificateIdentity {
  /** As AWS IoT's certificate id: SHA-256 of the DER, 64 hexadecimal digits in lower case. */
  readonly principal: string
  /** Of the subject; absent when there is none, or more than one. */
  readonly commonName?: string | undefined
}

/** @param certificate DER bytes, as `getPeerX509Certificate()?.raw` gives them, PEM, or one read before */
export function identityOf(
  certificate: Uint8Array | string | X509Certificate,
): CertificateIdentity {
  const read = readCertificate(certificate)
  return { principal: principalOf(read), commonName: commonNameOf(read) }
}

/** @returns the principal alone */
export function principalOf(certificate: Uint8Array | string | X509Certificate): string {
  return readCertificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
}

/**
 * The value itself: the text of `subject` is escaped, and a name that was made to look like two
 * fields would have to be told apart from one that has two.
 */
function commonNameOf(certificate: X509Certificate): string | undefined {
  const name: unknown = certificate.toLegacyObject().subject.CN
  return typeof name === 'string' && name !== '' ? name : undefined
}

function readCertificate(certificate: Uint8Array | string | X509Certificate): X509Certificate {
  return certificate instanceof X509Certificate ? certificate : new X509Certificate(certificate)
}
