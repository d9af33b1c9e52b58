import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { SluiceError, messageOf, withPlace } from '../base/errors.ts'
import type { VariableName } from '../config/variables.ts'
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
    readText('SLUICE_UPSTREAM_PASSWORD_FILE', sources.passwordFile, readSecretFile),
    readText('SLUICE_UPSTREAM_CA_FILE', sources.authorityFile, readPublicFile),
    readText('SLUICE_UPSTREAM_CERT_FILE', sources.certificateFile, readPublicFile),
    readText('SLUICE_UPSTREAM_KEY_FILE', sources.keyFile, readSecretFile),
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

/** @param variable names the file for the operator */
async function readText(
  variable: VariableName,
  file: string | undefined,
  read: typeof readSecretFile,
): Promise<string | undefined> {
  if (file === undefined) return undefined
  const place = `${variable}: ${file}`
  let found
  try {
    found = await read(file)
  } catch (thrown) {
    throw thrown instanceof SluiceError ? withPlace(thrown, variable) : thrown
  }
  if (found === undefined) throw invalidFile(place, 'is not there')
  return found.text
}

function checkTls(
  { authorityFile, certificateFile, keyFile }: CredentialSources,
  { ca, cert, key }: Pick<Credentials, 'ca' | 'cert' | 'key'>,
): void {
  if (ca !== undefined) {
    const place = `SLUICE_UPSTREAM_CA_FILE: ${authorityFile}`
    tryTo(place, () => new X509Certificate(ca))
    tryTo(place, () => createSecureContext({ ca }))
  }
  if (cert === undefined || key === undefined) return
  const certificatePlace = `SLUICE_UPSTREAM_CERT_FILE: ${certificateFile}`
  const keyPlace = `SLUICE_UPSTREAM_KEY_FILE: ${keyFile}`
  const certificate = tryTo(certificatePlace, () => new X509Certificate(cert))
  const privateKey = tryTo(keyPlace, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalidFile(keyPlace, `is not the key of ${certificateFile}`)
  }
  tryTo(certificatePlace, () => createSecureContext({ cert, key }))
}

function tryTo<Result>(place: string, make: () => Result): Result {
  try {
    return make()
  } catch (thrown) {
    throw invalidFile(place, `is not valid: ${messageOf(thrown)}`, thrown)
  }
}
