import { X509Certificate, createPrivateKey } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import type { IssuingAuthority } from '../../config/tls-config.ts'
import { readPublicFile, readSecretFile } from '../../storage/secret-file.ts'
import { makeCertificateFolder } from './certificate-folder.ts'
import type { KeyPairPem } from './certificate-maker.ts'
import { createCertificateMaker } from './certificate-maker.ts'
import { readPemBundle } from './pem-bundle.ts'

/** Issues certificates of clients with the key of a CA. No key that it makes is kept. */
export interface CertificateIssuer {
  /** @throws SluiceError InvalidRequestException: there is no CA, or its files cannot be used */
  issueWithKeys(): Promise<{
    readonly certificatePem: string
    readonly privateKeyPem: string
    readonly publicKeyPem: string
  }>
  /**
   * @param request a certificate signing request, PEM
   * @returns the certificate, PEM
   * @throws as `issueWithKeys`; SluiceError InvalidRequestException: the request (rejects)
   */
  issueFor(request: string): Promise<string>
}

/** The common name of the subject, as on AWS. */
const commonName = 'AWS IoT Certificate'

export function createCertificateIssuer(
  { clock }: { readonly clock: Clock },
  place: IssuingAuthority,
): CertificateIssuer {
  /** Read for each certificate, because the files may be replaced. */
  async function authority(): Promise<KeyPairPem> {
    try {
      return await readAuthority(place, clock)
    } catch (thrown) {
      if (thrown instanceof SluiceError && thrown.code === 'InvalidRequestException') throw thrown
      const message = `the CA of this server cannot be used: ${messageOf(thrown)}`
      throw new SluiceError('InvalidRequestException', message, { cause: thrown })
    }
  }

  return {
    async issueWithKeys() {
      const pair = await authority()
      const maker = await createCertificateMaker(clock.wallMs())
      return maker.makeRsaDevice(pair, commonName)
    },
    async issueFor(request) {
      const pair = await authority()
      const maker = await createCertificateMaker(clock.wallMs())
      try {
        return await maker.signRequest(pair, request, commonName)
      } catch (thrown) {
        const message = `certificateSigningRequest cannot be used: ${messageOf(thrown)}`
        throw new SluiceError('InvalidRequestException', message, { cause: thrown })
      }
    },
  }
}

async function readAuthority(place: IssuingAuthority, clock: Clock): Promise<KeyPairPem> {
  if (place.kind === 'none') {
    throw invalidRequest(
      'this server issues no certificates: set SLUICE_TLS_CA_KEY_FILE to the key of the CA in ' +
        'SLUICE_TLS_CA_FILE',
    )
  }
  const files = place.kind === 'files' ? place : await authorityIn(place.directory, clock)
  const [certificates, key] = await Promise.all([
    readPublicFile(files.certificateFile),
    readSecretFile(files.keyFile),
  ])
  if (!certificates) throw invalidRequest(`${files.certificateFile} is not there`)
  if (!key) {
    throw invalidRequest(
      `this server issues no certificates: ${files.keyFile}, the key of its CA, is not there`,
    )
  }
  const privateKey = createPrivateKey(key.text)
  const own = readPemBundle(certificates.text).certificates.find(({ pem }) =>
    new X509Certificate(pem).checkPrivateKey(privateKey),
  )
  if (own === undefined) {
    throw invalidRequest(`${files.keyFile} is the key of no CA in ${files.certificateFile}`)
  }
  if (own.validToMs <= clock.wallMs()) throw invalidRequest(`${own.title} has expired`)
  return { certificatePem: own.pem, keyPem: key.text }
}

async function authorityIn(directory: string, clock: Clock) {
  const options = { directory, devices: [], hosts: [], force: false, nowMs: clock.wallMs() }
  return (await makeCertificateFolder(options)).authority
}
