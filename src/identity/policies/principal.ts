import { X509Certificate } from 'node:crypto'

/** The identity in a client certificate that TLS has verified. */
export interface CertificateIdentity {
  /** AWS IoT's certificate id: SHA-256 of the DER, 64 lower-case hexadecimal digits. */
  readonly principal: string
  /** The common name of the subject; absent if there is none, or more than one. */
  readonly commonName?: string | undefined
}

/** @param certificate DER bytes, PEM text, or a parsed certificate */
export function identityOf(
  certificate: Uint8Array | string | X509Certificate,
): CertificateIdentity {
  const read = readCertificate(certificate)
  return { principal: principalOf(read), commonName: commonNameOf(read) }
}

/** @returns the certificate id, as `CertificateIdentity.principal` */
export function principalOf(certificate: Uint8Array | string | X509Certificate): string {
  return readCertificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
}

/**
 * Reads the value from the parsed subject. The text of `subject` is escaped, and there a name that
 * imitates two fields would be hard to tell from two fields.
 */
function commonNameOf(certificate: X509Certificate): string | undefined {
  const name: unknown = certificate.toLegacyObject().subject.CN
  return typeof name === 'string' && name !== '' ? name : undefined
}

function readCertificate(certificate: Uint8Array | string | X509Certificate): X509Certificate {
  return certificate instanceof X509Certificate ? certificate : new X509Certificate(certificate)
}
