import { invalidRequest, messageOf } from '../../base/errors.ts'
import { withoutSchemaLink } from '../../storage/schema-link.ts'

/**
 * The targets that a policy is attached to: the file `<policy>.meta.json`, `{"targets": [...]}`.
 *
 *   all                  every client, including anonymous ones
 *   anonymous            clients that connect anonymously
 *   user:<name>          clients that logged in with the password of this user
 *   cert:<fingerprint>   clients with this certificate: SHA-256 of its DER, 64 hexadecimal digits;
 *                        also as `arn:aws:iot:<region>:<account>:cert/<fingerprint>`
 *
 * A target is stored in one spelling, so that targets are compared as texts.
 */
export type PolicyTarget = 'all' | 'anonymous' | `user:${string}` | `cert:${string}`

/** Targets of one policy. */
export const targetsMax = 10_000

export const certificateForm = /^(?:cert:|arn:aws[\w-]*:iot:[\w-]*:\d*:cert\/)([0-9a-fA-F]{64})$/
export const userForm = /^user:[^\p{C}:]{1,128}$/u

/** @throws SluiceError InvalidRequestException, naming the member */
export function parsePolicyTargets(text: string): readonly PolicyTarget[] {
  const meta = withoutSchemaLink(parseJson(text))
  const targets = isRecord(meta) ? meta['targets'] : undefined
  if (!isRecord(meta) || !Array.isArray(targets) || Object.keys(meta).length > 1) {
    throw invalidRequest('must be {"targets": [...]} and nothing beside it')
  }
  if (targets.length > targetsMax) throw invalidRequest(`more than ${targetsMax} targets`)
  return Object.freeze([
    ...new Set(targets.map((target, index) => readTarget(target, `targets[${index}]`))),
  ])
}

/**
 * @param where what messages call it
 * @throws SluiceError InvalidRequestException
 */
export function readTarget(target: unknown, where: string): PolicyTarget {
  if (target === 'all' || target === 'anonymous') return target
  if (typeof target === 'string') {
    if (userForm.test(target)) return target as PolicyTarget
    const fingerprint = certificateForm.exec(target)?.[1]
    if (fingerprint !== undefined) return `cert:${fingerprint.toLowerCase()}`
  }
  throw invalidRequest(
    `${where} is ${JSON.stringify(target)}: a target is all, anonymous, user:<name>, ` +
      'cert:<64 hexadecimal digits> or the ARN of a certificate',
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (thrown) {
    throw invalidRequest(`is not a JSON document: ${messageOf(thrown)}`)
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
