import { invalidRequest, messageOf } from '../../base/errors.ts'
import { withFileLock } from '../../storage/file-lock.ts'
import { hashPassword, parsePasswordHash } from './password-hash.ts'
import type { PasswordHash, ScryptCost } from './password-hash.ts'
import { invalidFile, readSecretFile, writeSecretFile } from '../../storage/secret-file.ts'

/**
 * The users that log in over MQTT. The file, mode 600: a line a user, blank lines and lines that
 * begin with `#` are passed over and kept.
 *
 *   device-7:$scrypt$ln=15,r=8,p=3$<salt>$<hash>
 */
export type PasswordHashes = ReadonlyMap<string, PasswordHash>

export const usersMax = 100_000
/** No colon, which ends the name in the file, no control character, and not a comment. */
const userForm = /^(?!#)[^\p{C}:]{1,128}$/u

/** @throws SluiceError InvalidRequestException, naming the line */
export function parsePasswordFile(text: string): PasswordHashes {
  const hashes = new Map<string, PasswordHash>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (isPassedOver(line)) continue
    const where = `line ${index + 1}`
    const colon = line.indexOf(':')
    const user = line.slice(0, colon)
    if (colon < 0 || !userForm.test(user))
      throw invalidRequest(`${where}: not of the form user:hash`)
    if (hashes.has(user)) throw invalidRequest(`${where}: the user ${user} is listed twice`)
    if (hashes.size === usersMax) throw invalidRequest(`${where}: more than ${usersMax} users`)
    hashes.set(user, readHash(line.slice(colon + 1).trimEnd(), where))
  }
  return hashes
}

/**
 * Gives a user a password; the file is made if it is not there.
 *
 * @returns whether the user was there before
 * @throws SluiceError IdentityFileInvalid, InvalidRequestException
 */
export async function setPassword(
  file: string,
  { user, password, cost }: { user: string; password: string; cost?: ScryptCost },
): Promise<boolean> {
  const line = `${checkedUser(user)}:${await hashPassword(password, cost)}`
  return change(file, user, (lines, at) => (at < 0 ? [...lines, line] : lines.with(at, line)))
}

/**
 * Removes a user.
 *
 * @returns whether the user was there
 * @throws SluiceError IdentityFileInvalid, InvalidRequestException
 */
export async function removeUser(file: string, user: string): Promise<boolean> {
  return change(file, checkedUser(user), (lines, at) => (at < 0 ? lines : lines.toSpliced(at, 1)))
}

/** @throws SluiceError InvalidRequestException */
export function checkedUser(user: string): string {
  if (userForm.test(user)) return user
  throw invalidRequest(
    `${JSON.stringify(user)} is not a user name: 1 to 128 characters, no colon, not # in front`,
  )
}

/** @param at the index of the user's line; -1 if there is none */
type Edit = (lines: readonly string[], at: number) => readonly string[]

/** Changes run one at a time, also across processes. */
function change(file: string, user: string, edit: Edit): Promise<boolean> {
  return withFileLock(file, () => changeLocked(file, user, edit))
}

async function changeLocked(file: string, user: string, edit: Edit): Promise<boolean> {
  const before = (await readSecretFile(file))?.text ?? ''
  try {
    parsePasswordFile(before)
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
  const lines = before === '' ? [] : before.replace(/\r?\n$/, '').split(/\r?\n/)
  const at = lines.findIndex((line) => line.startsWith(`${user}:`))
  const after = edit(lines, at)
  if (after !== lines) await writeSecretFile(file, after.map((line) => `${line}\n`).join(''))
  return at >= 0
}

const isPassedOver = (line: string) => line.trim() === '' || line.startsWith('#')

function readHash(text: string, where: string): PasswordHash {
  try {
    return parsePasswordHash(text)
  } catch (thrown) {
    throw invalidRequest(`${where}: ${messageOf(thrown)}`)
  }
}
