import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { messageOf } from '../base/errors.ts'
import { invalidFile, readPublicFile, readSecretFile } from '../storage/secret-file.ts'

/** Who Sluice is at the broker, and by which CAs it verifies the broker. */
export interface Credentials {
  readonly username: string | undefined
  readonly password: string | undefined
  /** PEM. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** Absolute paths; see `UpstreamConfig`. */
interface CredentialSources {
  readonly user: string | undefined
  readonly password: string | undefined
  readonly passwordFile: string | undefined
  readonly authorityFile: string | undefined
  readonly certificateFile: string | undefined
  readonly keyFile: string | undefined
}

/**
 * Reads the files. It is called for each connection, so that a password or a certificate that was
 * replaced is used without a restart.
 *
 * @throws SluiceError (rejects) IdentityFileInvalid: a file is not there, is open to others, or
 *   does not fit the others
 */
export async function readCredentials(sources: CredentialSources): Promise<Credentials> {
  const [password, ca, cert, key] = await Promise.all([
    readText(sources.passwordFile, readSecretFile),
    readText(sources.authorityFile, readPublicFile),
    readText(sources.certificateFile, readPublicFile),
    readText(sources.keyFile, readSecretFile),
  ])
  checkTls(sources, { ca, cert, key })
  return {
    username: sources.user,
    password: password === undefined ? sources.password : firstLineOf(password),
    ca,
    cert,
    key,
  }
}

const firstLineOf = (text: string): string => text.split(/\r?\n/, 1)[0] ?? ''

async function readText(
  file: string | undefined,
  read: typeof readSecretFile,
): Promise<string | undefined> {
  if (file === undefined) return undefined
  const found = await read(file)
  if (found === undefined) throw invalidFile(file, 'is not there')
  return found.text
}

function checkTls(
  { authorityFile = '', certificateFile = '', keyFile = '' }: CredentialSources,
  { ca, cert, key }: Pick<Credentials, 'ca' | 'cert' | 'key'>,
): void {
  if (ca !== undefined) {
    tryTo(authorityFile, () => new X509Certificate(ca))
    tryTo(authorityFile, () => createSecureContext({ ca }))
  }
  if (cert === undefined || key === undefined) return
  const certificate = tryTo(certificateFile, () => new X509Certificate(cert))
  const privateKey = tryTo(keyFile, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalidFile(keyFile, `is not the key of ${certificateFile}`)
  }
  tryTo(certificateFile, () => createSecureContext({ cert, key }))
}

function tryTo<Result>(file: string, make: () => Result): Result {
  try {
    return make()
  } catch (thrown) {
    throw invalidFile(file, `is not valid: ${messageOf(thrown)}`, thrown)
  }
}
