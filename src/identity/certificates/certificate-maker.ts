import { createPrivateKey, createPublicKey, generateKeyPair, webcrypto } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import type { Extension, JsonGeneralNames, JsonName, PublicKey } from '@peculiar/x509'

/**
 * Makes X.509 certificates (RFC 5280): a CA for a lab, and what a CA signs. Keys are on the curve
 * P-256, which AWS IoT and every TLS library of devices takes, and are made in no time; those that
 * clients of AWS IoT ask for are for RSA, as there.
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
  /** The same with a key for RSA, as AWS IoT makes it. */
  makeRsaDevice(authority: KeyPairPem, name: string): Promise<RsaPairPem>
  /**
   * Signs a certificate for the key of a certificate signing request (RFC 2986), PEM.
   *
   * @param name the common name of the subject, if the request has no subject
   * @throws Error (rejects): the request cannot be read, or its key cannot be used
   */
  signRequest(authority: KeyPairPem, request: string, name: string): Promise<string>
}

interface RsaPairPem {
  readonly certificatePem: string
  /** PKCS #1, not encrypted. */
  readonly privateKeyPem: string
  readonly publicKeyPem: string
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

  async function signFor(
    publicKey: webcrypto.CryptoKey | PublicKey,
    authority: KeyPairPem,
    leaf: Leaf,
  ): Promise<string> {
    const issuer = new x509.X509Certificate(authority.certificatePem)
    const signing = await importSigning(authority.keyPem)
    const certificate = await x509.X509CertificateGenerator.create({
      subject: leaf.subject ?? nameOf(leaf.name),
      issuer: issuer.subjectName,
      notBefore,
      // Some clients reject a certificate that outlives its CA.
      notAfter: new Date(Math.min(nowMs + leaf.days * dayMs, issuer.notAfter.getTime())),
      publicKey,
      ...signing,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...leaf.extensions,
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    })
    return `${certificate.toString('pem')}\n`
  }

  async function sign(authority: KeyPairPem, leaf: Leaf): Promise<KeyPairPem> {
    const keys = await makeKeys()
    const publicKey = await importPublic(keys.publicKey)
    return {
      certificatePem: await signFor(publicKey, authority, leaf),
      keyPem: pemOf(keys.privateKey),
    }
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

    makeDevice: (authority, name) => sign(authority, deviceLeaf(x509, name)),

    ...deviceMakers(x509, signFor),
  }
}

type Library = Awaited<ReturnType<typeof loadLibrary>>
type SignFor = (
  publicKey: webcrypto.CryptoKey | PublicKey,
  authority: KeyPairPem,
  leaf: Leaf,
) => Promise<string>

const deviceLeaf = (x509: Library, name: string): Leaf => ({
  name,
  days: deviceDays,
  extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
})

function deviceMakers(
  x509: Library,
  signFor: SignFor,
): Pick<CertificateMaker, 'makeRsaDevice' | 'signRequest'> {
  return {
    async makeRsaDevice(authority, name) {
      const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', rsaOptions)
      const imported = new x509.PublicKey(publicKey.export({ type: 'spki', format: 'der' }))
      return {
        certificatePem: await signFor(imported, authority, deviceLeaf(x509, name)),
        privateKeyPem: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
        publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      }
    },

    async signRequest(authority, text, name) {
      const request = new x509.Pkcs10CertificateRequest(text)
      if (!(await request.verify())) throw new Error('its signature does not fit its key')
      const key = Buffer.from(request.publicKey.rawData)
      refuseWeakKey(createPublicKey({ key, format: 'der', type: 'spki' }))
      const subject = request.subjectName.toJSON()
      return signFor(request.publicKey, authority, {
        ...deviceLeaf(x509, name),
        subject: subject.length === 0 ? undefined : subject,
      })
    },
  }
}

interface Leaf {
  /** The common name of the subject. */
  readonly name: string
  /** In the place of the name. */
  readonly subject?: JsonName | undefined
  readonly days: number
  readonly extensions: Extension[]
}

/** As AWS IoT makes them. */
const rsaOptions = Object.freeze({ modulusLength: 2_048 })
/** The curves that AWS IoT takes, by the names of OpenSSL, and of Web Cryptography. */
const curves: Readonly<Record<string, string>> = Object.freeze({
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
})

/** @throws Error that continues a sentence about the request */
function refuseWeakKey({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): void {
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails
  if (asymmetricKeyType === 'rsa' && modulusLength >= rsaOptions.modulusLength) return
  if (asymmetricKeyType === 'ec' && Object.hasOwn(curves, namedCurve)) return
  throw new Error('its key must be RSA of 2048 bits or more, or on P-256, P-384 or P-521')
}

/** @throws Error (rejects): a CA with a key of another kind */
async function importSigning(keyPem: string) {
  const key = createPrivateKey(keyPem)
  const { namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  const curve = curves[namedCurve]
  const hash = 'SHA-256'
  const algorithm =
    key.asymmetricKeyType === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash }
      : { name: 'ECDSA', namedCurve: curve ?? namedCurve }
  const der = key.export({ type: 'pkcs8', format: 'der' })
  return {
    signingKey: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
    signingAlgorithm: { ...algorithm, hash },
  }
}

/** Loaded when certificates are made; the library wants the other one first. */
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
