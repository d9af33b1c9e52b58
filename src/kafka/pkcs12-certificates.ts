import { X509Certificate, createDecipheriv, pbkdf2Sync } from 'node:crypto'
import { contentOf, derTags, identifierOf, insideOf, readDerValues } from './der-reader.ts'
import type { DerValue } from './der-reader.ts'

/** Object identifiers of PKCS #7, #12 and #5 [RFC 2315, RFC 7292, RFC 8018]. */
const identifiers = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
}
const ciphers: ReadonlyMap<string, { readonly name: string; readonly keyBytes: number }> = new Map([
  ['2.16.840.1.101.3.4.1.2', { name: 'aes-128-cbc', keyBytes: 16 }],
  ['2.16.840.1.101.3.4.1.22', { name: 'aes-192-cbc', keyBytes: 24 }],
  ['2.16.840.1.101.3.4.1.42', { name: 'aes-256-cbc', keyBytes: 32 }],
])
const digests: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.9', 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
])
/** A store may not ask for work without end: Java's own have 10,000. */
const iterationsMax = 1_000_000

/**
 * The certificates of a trust store in PKCS #12. Node reads such a file only when it also has a
 * private key, which a trust store has not.
 *
 * @returns the certificates as PEM
 * @throws Error when the store or its password is wrong, or its encryption is too old
 */
export function pkcs12Certificates(store: Buffer, password: string): readonly string[] {
  const [, safe] = insideOf(readDerValues(store)[0], derTags.sequence)
  const contents = insideOf(readDerValues(dataOf(safe))[0], derTags.sequence)
  return contents
    .map((content) => safeContentsOf(content, password))
    .flatMap((safeContents) => insideOf(readDerValues(safeContents)[0], derTags.sequence))
    .flatMap(certificateOf)
}

/** The bytes of a ContentInfo that holds data. */
function dataOf(info: DerValue | undefined): Buffer {
  const [type, content] = insideOf(info, derTags.sequence)
  if (identifierOf(type) !== identifiers.data) throw new Error('the file is damaged')
  return contentOf(insideOf(content, derTags.explicit0)[0], derTags.octetString)
}

function safeContentsOf(info: DerValue, password: string): Buffer {
  const [type, content] = insideOf(info, derTags.sequence)
  if (identifierOf(type) !== identifiers.encryptedData) return dataOf(info)
  const [, encrypted] = insideOf(insideOf(content, derTags.explicit0)[0], derTags.sequence)
  const [, algorithm, bytes] = insideOf(encrypted, derTags.sequence)
  return decrypted(contentOf(bytes, derTags.implicit0), algorithm, password)
}

function decrypted(bytes: Buffer, algorithm: DerValue | undefined, password: string): Buffer {
  const [scheme, parameters] = insideOf(algorithm, derTags.sequence)
  if (identifierOf(scheme) !== identifiers.pbes2) throw tooOld()
  const [derivation, encryption] = insideOf(parameters, derTags.sequence)
  const [cipherType, vector] = insideOf(encryption, derTags.sequence)
  const [derivationType, keyParameters] = insideOf(derivation, derTags.sequence)
  const cipher = ciphers.get(identifierOf(cipherType))
  if (cipher === undefined || identifierOf(derivationType) !== identifiers.pbkdf2) throw tooOld()
  const { salt, iterations, digest } = derivationOf(keyParameters)
  const key = pbkdf2Sync(password, salt, iterations, cipher.keyBytes, digest)
  try {
    const decipher = createDecipheriv(cipher.name, key, contentOf(vector, derTags.octetString))
    return Buffer.concat([decipher.update(bytes), decipher.final()])
  } catch (thrown) {
    throw new Error('the password is wrong', { cause: thrown })
  }
}

function derivationOf(parameters: DerValue | undefined) {
  const [salt, count, ...others] = insideOf(parameters, derTags.sequence)
  const counted = contentOf(count, derTags.integer)
  const iterations = counted.length <= 4 ? counted.readUIntBE(0, counted.length) : Infinity
  if (iterations > iterationsMax) throw new Error('the file asks for too many iterations')
  const pseudoRandom = others.find(({ tag }) => tag === derTags.sequence)
  // Without one it is HMAC with SHA-1 [RFC 8018, A.2].
  const identifier = pseudoRandom && identifierOf(insideOf(pseudoRandom, derTags.sequence)[0])
  const digest = identifier === undefined ? 'sha1' : digests.get(identifier)
  if (digest === undefined) throw tooOld()
  return { salt: contentOf(salt, derTags.octetString), iterations, digest }
}

function certificateOf(bag: DerValue): readonly string[] {
  const [type, value] = insideOf(bag, derTags.sequence)
  if (identifierOf(type) !== identifiers.certificateBag) return []
  const [, certificate] = insideOf(insideOf(value, derTags.explicit0)[0], derTags.sequence)
  const [bytes] = insideOf(certificate, derTags.explicit0)
  return [new X509Certificate(contentOf(bytes, derTags.octetString)).toString()]
}

const tooOld = () =>
  new Error(
    'its encryption is too old: write it anew with keytool of Java 17, or give the certificates ' +
      'as PEM',
  )
