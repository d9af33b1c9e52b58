import { createPrivateKey, generateKeyPair, webcrypto } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Extension, JsonGeneralNames, JsonName } from '@peculiar/x509'

/**
 * Makes X.509 certificates (RFC 5280) for a lab: a CA, and what it signs. Keys are on the curve
 * P-256, which AWS IoT and every TLS library of devices takes, and are made in no time.
 */
export interface KeyPairPem {
  readonly certificatePem: string
  /** PKCS #8, not encrypted. */
  readonly keyPem: string
}

export interface CertificateMaker {
  makeAuthority(): Promise<KeyPairPem>
  /** @param hosts names and IP addresses that the server is reached by */
  makeServer(authority: KeyPairPem, hosts: readonly string[]): Promise<KeyPairPem>
  /** @param name becomes the common name of the subject */
  makeDevice(authority: KeyPairPem, name: string): Promise<KeyPairPem>
}

const dayMs = 86_400_000
/** New certificates are backdated for devices whose clock is slow. */
const backdatedMs = dayMs
const authorityDays = 3_650
const deviceDays = 3_650
/** The longest validity of a server certificate that clients of all platforms accept. */
const serverDays = 825

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const
const organization = 'Sluice lab'

/** @param nowMs epoch milliseconds, when the certificates are made */
export async function createCertificateMaker(nowMs: number): Promise<CertificateMaker> {
  const x509 = await loadLibrary()
  const notBefore = new Date(nowMs - backdatedMs)

  async function sign(
    authority: KeyPairPem,
    leaf: { readonly name: string; readonly days: number; readonly extensions: Extension[] },
  ): Promise<KeyPairPem> {
    const issuer = new x509.X509Certificate(authority.certificatePem)
    const keys = await makeKeys()
    const publicKey = await importPublic(keys.publicKey)
    const certificate = await x509.X509CertificateGenerator.create({
      subject: nameOf(leaf.name),
      issuer: issuer.subjectName,
      notBefore,
      // Some clients reject a certificate that outlives its CA.
      notAfter: new Date(Math.min(nowMs + leaf.days * dayMs, issuer.notAfter.getTime())),
      publicKey,
      signingKey: await importPrivate(createPrivateKey(authority.keyPem)),
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...leaf.extensions,
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    })
    return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: pemOf(keys.privateKey) }
  }

  return {
    async makeAuthority() {
      const keys = await makeKeys()
      const publicKey = await importPublic(keys.publicKey)
      const { keyCertSign, cRLSign } = x509.KeyUsageFlags
      const certificate = await x509.X509CertificateGenerator.create({
        subject: nameOf(`${organization} CA`),
        issuer: nameOf(`${organization} CA`),
        notBefore,
        notAfter: new Date(nowMs + authorityDays * dayMs),
        publicKey,
        signingKey: await importPrivate(keys.privateKey),
        signingAlgorithm,
        extensions: [
          // No further CA below it.
          new x509.BasicConstraintsExtension(true, 0, true),
          new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
          await x509.SubjectKeyIdentifierExtension.create(publicKey),
        ],
      })
      return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: pemOf(keys.privateKey) }
    },

    makeServer: (authority, hosts) =>
      sign(authority, {
        name: `${organization} server`,
        days: serverDays,
        extensions: [
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension(alternativeNamesOf(hosts)),
        ],
      }),

    makeDevice: (authority, name) =>
      sign(authority, {
        name,
        days: deviceDays,
        extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
      }),
  }
}

/**
 * Loaded when certificates are made, and never by the engine; the library wants the other one
 * first.
 */
async function loadLibrary() {
  await import('reflect-metadata')
  return import('@peculiar/x509')
}

const nameOf = (commonName: string): JsonName => [{ O: [organization] }, { CN: [commonName] }]

const alternativeNamesOf = (hosts: readonly string[]): JsonGeneralNames =>
  hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))

const makeKeys = () => promisify(generateKeyPair)('ec', { namedCurve: keyAlgorithm.namedCurve })

const pemOf = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()

function importPrivate(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, keyAlgorithm, false, ['sign'])
}

function importPublic(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'spki', format: 'der' })
  return webcrypto.subtle.importKey('spki', der, keyAlgorithm, true, ['verify'])
}
